-- Prepended to every script. KEYS[1] only carries the pool's slot, ARGV[1] is the prefix `{pool}:`, ARGV[2] the ask as JSON.
-- Lua in Redis does not roll back: a script checks first, then writes, and marks come last.
local prefix = ARGV[1]
local ask = cjson.decode(ARGV[2])
local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
-- Milliseconds with their fraction: what happened first in one millisecond is due first.
local moment = time[1] * 1000 + time[2] / 1000

local function key(kind, of, at)
  if at then return prefix .. kind .. ":" .. of .. ":" .. at end
  return of and prefix .. kind .. ":" .. of or prefix .. kind
end

-- One field of a hash, or nil (Redis says false).
local function field(hash, name)
  return redis.call("HGET", hash, name) or nil
end

-- A number the gateway published, or what holds until it has.
local defaults = {
  ttl_ms = 90000, heartbeat_ms = 20000, fence_ms = 60000,
  runs_ms = 30 * 86400000, logs_ms = 14 * 86400000, deliveries = 10000,
  log_limit = 67108864,
  gateways_ms = 86400000,
}
local function setting(name)
  return tonumber(field(key("settings"), name)) or defaults[name]
end

local function lane_rules(lane)
  local said = field(key("lanes"), lane)
  if said then return cjson.decode(said) end
  return { needs = {}, priority = 0, timeout_ms = 3600000, max_lost = 3, locks = {} }
end

-- Who holds a lock from outside, or wants it: {token, lock, node, since, till, held}, but for those whose time is over.
local function holds_now()
  local live = {}
  local all = redis.call("HGETALL", key("holds"))
  for i = 2, #all, 2 do
    local hold = cjson.decode(all[i])
    if hold.till > now then live[#live + 1] = hold end
  end
  return live
end

-- How many places of a lock are held, or wanted by somebody who asked before `asked_at`.
local function places(lock, asked_at, holds)
  local taken = redis.call("SCARD", key("held", lock))
  for _, hold in ipairs(holds) do
    if hold.lock == lock and (hold.held or hold.since < asked_at) then taken = taken + 1 end
  end
  return taken
end

local function capacities()
  return cjson.decode(field(key("settings"), "locks") or "{}")
end

-- A bell keeps only its last stroke: who listens learns that something happened, not what.
local function ring(kind)
  redis.call("XADD", key("bell", kind), "MAXLEN", 1, "*", "rung", 1)
end

-- Who waits for work has a reason to ask again only while some lane has a line.
local function ring_if_work_waits()
  if redis.call("SCARD", key("lines")) > 0 then ring("work") end
end

-- Who waits for a stirring learns of it when the event can be read.
local function put_event(run, seq, state, attempt, lost, more)
  redis.call("XADD", key("events"), "*", "subject", run, "seq", seq, "state", state, "at", now,
    "attempt", attempt, "lost", lost, unpack(more))
  ring("events")
end

-- Tells of a run's new state, in the very step that changed it. `untold` counts what is left to tell: till then it stays.
local function tell(run, state, reason, result)
  local hash = key("run", run)
  local seq = redis.call("HINCRBY", hash, "told", 1)
  redis.call("HINCRBY", hash, "untold", 1)
  local h = redis.call("HMGET", hash, "attempt", "lost", "node", "started_at")
  put_event(run, seq, state, h[1], h[2],
    { "node", h[3] or "", "started_at", h[4] or "", "reason", reason or "", "result", result or "" })
end

local function move(run, from, to)
  local hash = key("run", run)
  local seq = field(hash, "seq")
  redis.call("ZREM", key("in", from), run)
  redis.call("ZADD", key("in", to), seq, run)
  redis.call("HSET", hash, "state", to)
end

local function forget_empty_line(lane)
  if redis.call("XLEN", key("wait", lane)) + redis.call("XLEN", key("again", lane)) == 0 then
    redis.call("SREM", key("lines"), lane)
  end
end

-- Of an attempt's log Redis holds what no gateway has drained: the string `log` from byte `trimmed` to `size`. `taken` are
-- the node's own bytes, more than `size` after a cut. `parts` says which gateway's files begin where.
local late_logs_ms = 86400000

-- Asks a gateway to drain a log.
local function ask_drain(run, attempt)
  redis.call("ZADD", key("drain"), "NX", now, run .. " " .. attempt)
  ring("logs")
end

-- From here on only its late rest is taken, and all of it is drained.
local function end_log(run, attempt)
  redis.call("HSET", key("logged", run, attempt), "until", now + late_logs_ms)
  if redis.call("PEXPIRE", key("log", run, attempt), setting("logs_ms")) == 1 then ask_drain(run, attempt) end
end

-- Frees everything that lives and dies with a lease.
local function leave(run)
  local h = redis.call("HMGET", key("run", run), "lane", "locks", "node", "attempt")
  redis.call("ZREM", key("leased"), run)
  redis.call("SREM", key("running", h[1]), run)
  redis.call("SREM", key("on", h[3]), run)
  for _, lock in ipairs(cjson.decode(h[2] or "[]")) do redis.call("SREM", key("held", lock), run) end
  end_log(run, h[4])
end

local function over(run, from, state, reason, result)
  move(run, from, state)
  redis.call("HSET", key("run", run), "ended_at", now, "reason", reason or "", "result", result or "")
  redis.call("ZADD", key("ended"), now, run)
  tell(run, state, reason, result)
end

-- A run that comes back lines up before all that wait for their first attempt.
local function queue_again(run)
  local hash = key("run", run)
  local h = redis.call("HMGET", hash, "lane", "script")
  move(run, "running", "queued")
  local entry = redis.call("XADD", key("again", h[1]), "*", "run", run, "script", h[2])
  redis.call("HSET", hash, "line", "again", "entry", entry)
  redis.call("HDEL", hash, "node", "token", "locks")
  redis.call("SADD", key("lines"), h[1])
end

-- Takes a lease away because it ran out, or because its process is gone.
local function lose(run)
  local hash = key("run", run)
  leave(run)
  ring("stop")
  local lost = redis.call("HINCRBY", hash, "lost", 1)
  local cancelled = field(hash, "cancel")
  if cancelled then
    over(run, "running", "cancelled", cancelled)
  elseif lost >= lane_rules(field(hash, "lane")).max_lost then
    over(run, "running", "dead", "lost " .. lost .. (lost == 1 and " time" or " times"))
  else
    queue_again(run)
  end
end

local function reap()
  local late = redis.call("ZRANGEBYSCORE", key("leased"), "-inf", now, "LIMIT", 0, 50)
  for _, run in ipairs(late) do lose(run) end
  if #late > 0 then ring_if_work_waits() end
  return #late
end

local function cancel(run, why)
  local hash = key("run", run)
  local h = redis.call("HMGET", hash, "state", "lane", "line", "entry")
  if not h[1] then return "unknown" end
  if h[1] == "queued" then
    redis.call("XDEL", key(h[3], h[2]), h[4])
    forget_empty_line(h[2])
    redis.call("HSET", hash, "cancel", why)
    over(run, "queued", "cancelled", why)
    return "cancelled"
  elseif h[1] == "running" then
    redis.call("HSETNX", hash, "cancel", why)
    ring("stop")
    return "asked"
  end
  return "over"
end

-- Marks a dead run as one that nobody has to look at any more.
local function drop(run)
  local state = field(key("run", run), "state")
  if not state then return "unknown" end
  if state ~= "dead" then return "not dead" end
  redis.call("HSETNX", key("run", run), "dropped_at", now)
  return "dropped"
end

-- What tells one announcement from its repeat outlives a short `keep`.
local function keep_told()
  return math.max(setting("runs_ms"), 86400000)
end

-- The fence: only the node that holds this very attempt may speak of it.
local function holds(node, run, attempt)
  local h = redis.call("HMGET", key("run", run), "state", "node", "attempt")
  return h[1] == "running" and h[2] == node and tonumber(h[3]) == attempt
end

-- The remote behind a destination, by whose name pauses and circuits are kept: `chat:builds/reply` goes where `chat:builds` goes.
local function gate_of(destination)
  return destination:match("^[^/]*")
end

-- The earliest due post of a destination decides when the destination is next looked at.
local function reckon(destination)
  local first = redis.call("ZRANGE", key("due", destination), 0, 0, "WITHSCORES")
  if first[2] then
    redis.call("ZADD", key("ready"), first[2], destination)
  else
    redis.call("ZREM", key("ready"), destination)
  end
end

-- Looks anew at every destination behind a gate, once it may be open.
local function wake(gate)
  for _, destination in ipairs(redis.call("SMEMBERS", key("destinations"))) do
    if gate_of(destination) == gate then reckon(destination) end
  end
end

local day = 86400000

-- The end of a subject alone is still news by then, and only where nothing newer was made for its line.
local function is_news(h)
  if h[2] == "queued" or h[2] == "running" then return false end
  for _, name in ipairs(redis.call("ZRANGEBYSCORE", key("posts", h[4]), "(" .. h[5], "+inf")) do
    if field(key("post", name), "destination") == h[3] then return false end
  end
  return true
end

-- Lets the ends go again that this gate refused within a day under another setup, "" for under any; answers how many.
local function revive(gate, setup)
  local any = 0
  for _, name in ipairs(redis.call("ZRANGEBYSCORE", key("refused", gate), now - day, "+inf")) do
    local post = key("post", name)
    local h = redis.call("HMGET", post, "status", "state", "destination", "subject", "seq", "refused_under")
    if h[1] == "dead" and h[6] and h[6] ~= setup and is_news(h) then
      redis.call("PERSIST", post)
      redis.call("HSET", post, "status", "waiting", "at", now)
      redis.call("HDEL", post, "refused_under")
      redis.call("ZADD", key("line", h[3], h[4]), h[5], name)
      redis.call("ZADD", key("due", h[3]), moment, name)
      redis.call("ZADD", key("ready"), "LT", moment, h[3])
      redis.call("ZREM", key("refused", gate), name)
      any = any + 1
    end
  end
  return any
end

-- Makes a post, once; one that comes after a later state was sent is told no more. False where it was there already.
local function put_post(subject, seq, state, new)
  local post, destination = key("post", new.key), new.destination
  if redis.call("EXISTS", post) == 1 then return false end
  redis.call("HSET", post, "subject", subject, "seq", seq, "state", state, "destination", destination,
    "announcement", new.announcement, "tries", 0, "created_at", now, "at", now)
  redis.call("ZADD", key("posts", subject), seq, new.key)
  redis.call("SADD", key("destinations"), destination)
  local sent = tonumber(field(key("thread", destination, subject), "seq") or 0)
  if sent > seq then
    redis.call("HSET", post, "status", "replaced")
    redis.call("PEXPIRE", post, keep_told())
    return false
  end
  redis.call("HSET", post, "status", "waiting")
  redis.call("ZADD", key("line", destination, subject), seq, new.key)
  redis.call("ZADD", key("due", destination), moment, new.key)
  redis.call("ZADD", key("ready"), "LT", moment, destination)
  return true
end
