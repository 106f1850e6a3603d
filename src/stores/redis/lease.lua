-- ask: node, facts (text), labels, scripts, token, holding [`<run> <attempt>`…], through (it comes through a gateway)
-- -> {attempt, task, ttl, heartbeat, fence, timeout, admin_url, log_limit} | {ms until the next lease of anybody runs out, or a run that waits is due} | {}
-- A lease lasts no shorter than its node was told: a `ttl` that is lowered is for those that come.
local function ttl_of(told) return math.max(setting("ttl_ms"), tonumber(told or 0)) end

local function lease_end(told) return string.format("%.0f", now + ttl_of(told)) end

local function set_of(list)
  local set = {}
  for _, item in ipairs(list) do set[item] = true end
  return set
end

-- Runs that have waited for a later move of their issue go into the line when they are due.
local function line_up()
  for _, id in ipairs(redis.call("ZRANGE", key("later"), "-inf", now_text, "BYSCORE", "LIMIT", 0, 50)) do
    local h = redis.call("HMGET", key("run", id), "lane", "script")
    local entry = redis.call("XADD", key("wait", h[1]), "*", "run", id, "script", h[2])
    redis.call("SADD", key("lines"), h[1])
    redis.call("HSET", key("run", id), "line", "wait", "entry", entry)
    redis.call("ZREM", key("later"), id)
  end
end

-- What neither a lease nor a finish changes: read once for all that one script is asked.
local pool
local function look_around()
  if pool then return end
  follow_clock()
  pool = {
    capacity = capacities(),
    holds = holds_now(),
    paused = set_of(redis.call("HKEYS", key("paused"))),
    drained = set_of(redis.call("HKEYS", key("drained"))),
  }
  line_up()
  reap()
end

local function answer(run, attempt, lane)
  return {
    attempt, field(key("run", run), "task"), setting("ttl_ms"), setting("heartbeat_ms"), setting("fence_ms"),
    lane_rules(lane).timeout_ms, published_as("admin_url") or "", setting("log_limit"),
  }
end

-- A lease that runs out is work for who waits, and so is a lock held from outside: when that will be, at the earliest.
local function nothing()
  local first = tonumber(redis.call("ZRANGE", key("leased"), 0, 0, "WITHSCORES")[2])
  for _, hold in ipairs(pool.holds) do
    if not first or hold.till < first then first = hold.till end
  end
  local due = tonumber(redis.call("ZRANGE", key("later"), 0, 0, "WITHSCORES")[2])
  if due and not (first and first < due) then first = due end
  return first and { math.max(0, first - now) } or {}
end

local function place_in(given) return given:match("^(.*)%.") or "" end

-- What the node holds and neither names nor asks for ran out with its process, unless it was leased to another place. Answers
-- the run and attempt that this very token has already.
local function settle_node(ask)
  local same, same_attempt
  local holding = set_of(ask.holding)
  local leases = redis.call("HGETALL", key("leases", ask.node))
  for i = 1, #leases, 2 do
    local run = leases[i]
    local attempt, token = leases[i + 1]:match("^(%d+) (.*)$")
    if token == ask.token then
      same, same_attempt = run, attempt
    elseif place_in(token) == place_in(ask.token) and not holding[run .. " " .. attempt] then
      lose(run)
      ring_if_work_waits()
    end
  end
  return same, same_attempt
end

local function fits(needs, labels)
  for _, need in ipairs(needs) do
    if need:sub(1, 1) == "!" then
      if labels[need:sub(2)] then return false end
    elseif need ~= "*" and not labels[need] then
      return false
    end
  end
  return true
end

local function has_room(lane, limit)
  return not pool.paused[lane] and not (limit and redis.call("SCARD", key("running", lane)) >= limit)
end

local patience_ms = 300000

-- `patient` are those whom only locks have kept waiting for five minutes: their locks are kept free for them, against every
-- later claim.
local function is_locked(locks, queued_at, patient)
  for _, lock in ipairs(locks) do
    local taken = places(lock, queued_at, pool.holds)
    for _, other in ipairs(patient) do
      for _, kept in ipairs(other.locks) do
        if kept == lock then taken = taken + 1 end
      end
    end
    if taken >= (pool.capacity[lock] or 1) then return true end
  end
  return false
end

-- The first run of a line whose script is one of these; looks some 1,000 deep. The very first nearly always fits, and a
-- hundred of them cost more than all the rest of a lease.
local function first_of(line, lane, scripts)
  local from, count = "-", 1
  for _ = 1, 11 do
    local entries = redis.call("XRANGE", key(line, lane), from, "+", "COUNT", count)
    for _, entry in ipairs(entries) do
      if scripts[entry[2][4]] then return entry[2][2] end
    end
    if #entries < count then return nil end
    from, count = "(" .. entries[count][1], 100
  end
end

-- Notes from when to when only a lock kept a run waiting.
local function note_wait(run, locked)
  local hash = key("run", run.id)
  if locked and not run.lock_since then
    redis.call("HSET", hash, "lock_since", now_text)
  elseif run.lock_since and not locked then
    redis.call("HINCRBY", hash, "lock_wait", string.format("%.0f", now - run.lock_since))
    redis.call("HDEL", hash, "lock_since")
  end
end

-- The next run of a lane that fits such a node, or nil.
local function next_of(lane, labels, scripts)
  local rules = lane_rules(lane)
  if not fits(rules.needs, labels) then return nil end
  local room = has_room(lane, rules.limit)
  -- One that has no room waits for no lock, and need not be looked at where no lock could be noted.
  if not room and #rules.locks == 0 then return nil end
  local id = first_of("again", lane, scripts) or first_of("wait", lane, scripts)
  if not id then return nil end
  local run = read_run(id)
  run.queued_at, run.seq, run.lock_since = tonumber(run.queued_at), tonumber(run.seq), tonumber(run.lock_since)
  run.claim = run.queued_at - rules.priority * 60000
  run.priority, run.locks, run.room = rules.priority, rules.locks, room
  return run
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

local function choose(labels, scripts)
  local fitting, candidates, patient = {}, {}, {}
  for _, lane in ipairs(redis.call("SMEMBERS", key("lines"))) do
    fitting[#fitting + 1] = next_of(lane, labels, scripts)
  end
  if #fitting > 1 then table.sort(fitting, function(a, b) return a.claim < b.claim end) end
  for _, run in ipairs(fitting) do
    local locked = run.room and is_locked(run.locks, run.queued_at, patient)
    note_wait(run, locked)
    if locked and run.lock_since and now - run.lock_since >= patience_ms then patient[#patient + 1] = run end
    if run.room and not locked then candidates[#candidates + 1] = run end
  end
  if #candidates < 2 then return candidates[1] end

  local first = least(candidates, function(run) return run.claim end)
  local equals = {}
  for _, run in ipairs(candidates) do
    if run.priority == first.priority then equals[#equals + 1] = run end
  end
  return #equals == 1 and first or least(equals, function(run)
    return math.max(run.queued_at, tonumber(field(key("turns"), run.lane)) or 0)
  end)
end

local function lease(ask)
  local node = ask.node
  look_around()
  redis.call("HSET", key("nodes"), node, ask.facts)
  redis.call("ZADD", key("nodes_seen"), now_text, node)
  local same, attempt = settle_node(ask)
  if same then
    local told = field(key("run", same), "ttl")
    redis.call("ZADD", key("leased"), lease_end(told), same)
    redis.call("HSET", key("run", same), "ttl", string.format("%.0f", ttl_of(told)))
    return answer(same, attempt, field(key("run", same), "lane"))
  end
  if pool.drained[node] then return nothing() end
  local run = choose(set_of(ask.labels), set_of(ask.scripts))
  if not run then return nothing() end

  redis.call("XDEL", key(run.line, run.lane), run.entry)
  forget_empty_line(run.lane)
  for _, lock in ipairs(run.locks) do redis.call("SADD", key("held", lock), run.id) end
  redis.call("SADD", key("running", run.lane), run.id)
  redis.call("HSET", key("turns"), run.lane, string.format("%.3f", moment))
  moment = moment + 0.001 -- the next lease of this script comes after this one
  run.attempt, run.node, run.started_at = string.format("%d", run.attempt + 1), node, now_text
  redis.call("HSET", key("leases", node), run.id, run.attempt .. " " .. ask.token)
  redis.call("ZADD", key("leased"), lease_end(), run.id)
  redis.call("HSET", key("logged", run.id, run.attempt), "node", node, "taken", "0", "size", "0", "trimmed", "0")
  become(run, "running", nil, nil, "node", node, "attempt", run.attempt, "started_at", now_text,
    "through", ask.through and "1" or "0", "ttl", string.format("%.0f", setting("ttl_ms")),
    "locks", #run.locks > 0 and cjson.encode(run.locks) or "[]")
  return answer(run.id, run.attempt, run.lane)
end
