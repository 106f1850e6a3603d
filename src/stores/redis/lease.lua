-- ask: node, facts (text), labels, scripts, token, holding [`<run> <attempt>`…]
-- -> {attempt, task, ttl, heartbeat, fence, timeout, admin_url, log_limit} | {ms until the next lease of anybody runs out} | {}
local node, token = ask.node, ask.token
local ttl = setting("ttl_ms")

local function answer(run)
  local h = redis.call("HMGET", key("run", run), "attempt", "task", "lane")
  return {
    h[1], h[2], ttl, setting("heartbeat_ms"), setting("fence_ms"),
    lane_rules(h[3]).timeout_ms, field(key("settings"), "admin_url") or "", setting("log_limit"),
  }
end

local function set_of(list)
  local set = {}
  for _, item in ipairs(list) do set[item] = true end
  return set
end

-- A lease that runs out is work for who waits: when that will be, at the earliest.
local function nothing()
  local first = redis.call("ZRANGE", key("leased"), 0, 0, "WITHSCORES")[2]
  return first and { math.max(0, tonumber(first) - now) } or {}
end

reap()
redis.call("HSET", key("nodes"), node, ask.facts)
redis.call("ZADD", key("nodes_seen"), now, node)

local function place_in(given) return given:match("^(.*)%.") or "" end

-- What the node holds and neither names nor asks for ran out with its process, unless it was leased to another place.
local same
local holding = set_of(ask.holding)
for _, run in ipairs(redis.call("SMEMBERS", key("on", node))) do
  local h = redis.call("HMGET", key("run", run), "attempt", "token")
  if h[2] == token then
    same = run
  elseif place_in(h[2] or "") == place_in(token) and not holding[run .. " " .. h[1]] then
    lose(run)
    ring_if_work_waits()
  end
end
if same then
  redis.call("ZADD", key("leased"), now + ttl, same)
  return answer(same)
end
if redis.call("HEXISTS", key("drained"), node) == 1 then return nothing() end

local labels, scripts = set_of(ask.labels), set_of(ask.scripts)
local capacity = cjson.decode(field(key("settings"), "locks") or "{}")

local function fits(needs)
  for _, need in ipairs(needs) do
    if need:sub(1, 1) == "!" then
      if labels[need:sub(2)] then return false end
    elseif need ~= "*" and not labels[need] then
      return false
    end
  end
  return true
end

local function open(lane, rules)
  if redis.call("HEXISTS", key("paused"), lane) == 1 or not fits(rules.needs) then return false end
  if rules.limit and redis.call("SCARD", key("running", lane)) >= rules.limit then return false end
  for _, lock in ipairs(rules.locks) do
    if redis.call("SCARD", key("held", lock)) >= (capacity[lock] or 1) then return false end
  end
  return true
end

-- The first run of a line whose script this node has; looks at most 1,000 deep.
local function first_of(line, lane)
  local from = "-"
  for _ = 1, 10 do
    local entries = redis.call("XRANGE", key(line, lane), from, "+", "COUNT", 100)
    for _, entry in ipairs(entries) do
      if scripts[entry[2][4]] then return { line = line, lane = lane, entry = entry[1], run = entry[2][2] } end
    end
    if #entries < 100 then return nil end
    from = "(" .. entries[100][1]
  end
end

-- A minute of waiting is worth one step of priority: no lane starves.
local best
for _, lane in ipairs(redis.call("SMEMBERS", key("lines"))) do
  local rules = lane_rules(lane)
  local first = open(lane, rules) and (first_of("again", lane) or first_of("wait", lane))
  if first then
    local h = redis.call("HMGET", key("run", first.run), "queued_at", "seq")
    first.rank, first.seq = rules.priority + (now - tonumber(h[1])) / 60000, tonumber(h[2])
    first.locks = rules.locks
    if not best or first.rank > best.rank or (first.rank == best.rank and first.seq < best.seq) then best = first end
  end
end
if not best then return nothing() end

local run, hash = best.run, key("run", best.run)
redis.call("XDEL", key(best.line, best.lane), best.entry)
forget_empty_line(best.lane)
for _, lock in ipairs(best.locks) do redis.call("SADD", key("held", lock), run) end
redis.call("SADD", key("running", best.lane), run)
redis.call("SADD", key("on", node), run)
redis.call("ZADD", key("leased"), now + ttl, run)
redis.call("HSET", hash, "node", node, "token", token, "started_at", now,
  "locks", #best.locks > 0 and cjson.encode(best.locks) or "[]")
local attempt = redis.call("HINCRBY", hash, "attempt", 1)
redis.call("HSET", key("logged", run, tostring(attempt)), "node", node, "taken", 0, "size", 0, "trimmed", 0)
move(run, "queued", "running")
tell(run, "running")
return answer(run)
