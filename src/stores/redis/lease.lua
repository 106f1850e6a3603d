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

-- A lease that runs out is work for who waits, and so is a lock held from outside: when that will be, at the earliest.
local function nothing(holds)
  local first = tonumber(redis.call("ZRANGE", key("leased"), 0, 0, "WITHSCORES")[2])
  for _, hold in ipairs(holds or {}) do
    if not first or hold.till < first then first = hold.till end
  end
  return first and { math.max(0, first - now) } or {}
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
local capacity, holds = capacities(), holds_now()

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

local function has_room(lane, rules)
  return redis.call("HEXISTS", key("paused"), lane) == 0
    and not (rules.limit and redis.call("SCARD", key("running", lane)) >= rules.limit)
end

-- Those whom only locks have kept waiting for five minutes: their locks are kept free for them, against every later claim.
local patient, patience_ms = {}, 300000

local function is_locked(locks, queued_at)
  for _, lock in ipairs(locks) do
    local taken = places(lock, queued_at, holds)
    for _, other in ipairs(patient) do
      for _, kept in ipairs(other.locks) do
        if kept == lock then taken = taken + 1 end
      end
    end
    if taken >= (capacity[lock] or 1) then return true end
  end
  return false
end

-- The first run of a line whose script this node has; looks some 1,000 deep. The very first nearly always fits, and a
-- hundred of them cost more than all the rest of a lease.
local function first_of(line, lane)
  local from, count = "-", 1
  for _ = 1, 11 do
    local entries = redis.call("XRANGE", key(line, lane), from, "+", "COUNT", count)
    for _, entry in ipairs(entries) do
      if scripts[entry[2][4]] then return { line = line, lane = lane, entry = entry[1], run = entry[2][2] } end
    end
    if #entries < count then return nil end
    from, count = "(" .. entries[count][1], 100
  end
end

-- Notes from when to when only a lock kept a run waiting.
local function note_wait(run, since, locked)
  local hash = key("run", run)
  if locked and not since then
    redis.call("HSET", hash, "lock_since", now)
  elseif since and not locked then
    redis.call("HINCRBY", hash, "lock_wait", string.format("%.0f", now - since))
    redis.call("HDEL", hash, "lock_since")
  end
end

-- The next run of a lane that fits this node, or nil.
local function next_of(lane)
  local rules = lane_rules(lane)
  if not fits(rules.needs) then return nil end
  local room = has_room(lane, rules)
  -- One that has no room waits for no lock, and need not be looked at where no lock could be noted.
  if not room and #rules.locks == 0 then return nil end
  local first = first_of("again", lane) or first_of("wait", lane)
  if not first then return nil end
  local h = redis.call("HMGET", key("run", first.run), "queued_at", "seq", "lock_since")
  first.queued_at, first.seq, first.lock_since = tonumber(h[1]), tonumber(h[2]), tonumber(h[3])
  first.claim = first.queued_at - rules.priority * 60000
  first.priority, first.locks, first.room = rules.priority, rules.locks, room
  return first
end

-- The run that has waited longest goes first, a step of priority counting as a minute; lanes of its priority take turns.
-- src/core/turn.ts says the same.
local function least(list, rank)
  local best, at
  for _, one in ipairs(list) do
    local r = rank(one)
    if not best or r < at or (r == at and one.seq < best.seq) then best, at = one, r end
  end
  return best
end

local fitting, candidates = {}, {}
for _, lane in ipairs(redis.call("SMEMBERS", key("lines"))) do fitting[#fitting + 1] = next_of(lane) end
table.sort(fitting, function(a, b) return a.claim < b.claim end)
for _, one in ipairs(fitting) do
  local locked = one.room and is_locked(one.locks, one.queued_at)
  note_wait(one.run, one.lock_since, locked)
  if locked and one.lock_since and now - one.lock_since >= patience_ms then patient[#patient + 1] = one end
  if one.room and not locked then candidates[#candidates + 1] = one end
end
local first = least(candidates, function(one) return one.claim end)
if not first then return nothing(holds) end
local equals = {}
for _, one in ipairs(candidates) do
  if one.priority == first.priority then equals[#equals + 1] = one end
end
local best = #equals == 1 and first or least(equals, function(one)
  return math.max(one.queued_at, tonumber(field(key("turns"), one.lane)) or 0)
end)

local run, hash = best.run, key("run", best.run)
redis.call("XDEL", key(best.line, best.lane), best.entry)
forget_empty_line(best.lane)
for _, lock in ipairs(best.locks) do redis.call("SADD", key("held", lock), run) end
redis.call("SADD", key("running", best.lane), run)
redis.call("HSET", key("turns"), best.lane, string.format("%.3f", moment))
redis.call("SADD", key("on", node), run)
redis.call("ZADD", key("leased"), now + ttl, run)
redis.call("HSET", hash, "node", node, "token", token, "started_at", now,
  "locks", #best.locks > 0 and cjson.encode(best.locks) or "[]")
local attempt = redis.call("HINCRBY", hash, "attempt", 1)
redis.call("HSET", key("logged", run, tostring(attempt)), "node", node, "taken", 0, "size", 0, "trimmed", 0)
move(run, "queued", "running")
tell(run, "running")
return answer(run)
