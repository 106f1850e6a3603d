-- Prepended to every script. KEYS[1] only carries the pool's slot, ARGV[1] is the prefix `{pool}:`, ARGV[2] the ask as JSON.
-- Lua in Redis does not roll back: a script checks first, then writes, and marks come last.
local prefix = ARGV[1]
local ask = cjson.decode(ARGV[2])
local time = redis.call("TIME")
-- Milliseconds with their fraction: what happened first in one millisecond is due first.
local moment = tonumber(time[1]) * 1000 + tonumber(time[2]) / 1000
local now = math.floor(moment)
-- As text: Redis writes a Lua number with 17 digits, and takes longer over it than over most commands.
local now_text = string.format("%.0f", now)

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
local published
local function published_as(name)
  if not published then
    published = {}
    local all = redis.call("HGETALL", key("settings"))
    for i = 1, #all, 2 do published[all[i]] = all[i + 1] end
  end
  return published[name]
end
local function setting(name)
  return tonumber(published_as(name)) or defaults[name]
end

-- What is read here is not changed by the script that reads it, so once is enough for all that it is asked.
local rules = {}
local function lane_rules(lane)
  if not rules[lane] then
    local said = field(key("lanes"), lane)
    rules[lane] = said and cjson.decode(said) or { needs = {}, priority = 0, timeout_ms = 3600000, max_lost = 3, locks = {} }
  end
  return rules[lane]
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
  return cjson.decode(published_as("locks") or "{}")
end

-- A bell keeps its last hundred or two hundred strokes (one alone costs Redis four times as much): who listens learns that something happened, not what, and only after this script.
local rung = {}
local function ring(kind)
  if rung[kind] then return end
  rung[kind] = true
  redis.call("XADD", key("bell", kind), "MAXLEN", "~", "1", "*", "rung", "1")
end

-- Who waits for work has a reason to ask again only while some lane has a line.
local function ring_if_work_waits()
  if redis.call("SCARD", key("lines")) > 0 then ring("work") end
end

-- Who waits for a stirring learns of it when the event can be read.
local function put_event(run, seq, state, attempt, lost, more)
  redis.call("XADD", key("events"), "*", "subject", run, "seq", seq, "state", state, "at", now_text,
    "attempt", attempt, "lost", lost, unpack(more))
  ring("events")
end

-- What the steps of a run read of it, at once; nil where it has none.
local run_fields = {
  "state", "attempt", "lost", "node", "lane", "script", "locks", "seq", "told", "untold", "started_at", "cancel",
  "line", "entry", "ended_by", "queued_at", "lock_since",
}
local function read_run(id)
  local values = redis.call("HMGET", key("run", id), unpack(run_fields))
  local run = { id = id }
  for i, name in ipairs(run_fields) do run[name] = values[i] or nil end
  return run
end

-- Moves a run to a state, with what else changes of it: name, value …
local function move(run, state, ...)
  redis.call("ZREM", key("in", run.state), run.id)
  redis.call("ZADD", key("in", state), run.seq, run.id)
  redis.call("HSET", key("run", run.id), "state", state, ...)
  run.state = state
end

-- Moves a run and tells of it in the same step. `untold` counts what is left to tell: till then the run stays.
local function become(run, state, reason, result, ...)
  move(run, state, "told", run.told + 1, "untold", run.untold + 1, ...)
  put_event(run.id, run.told + 1, state, run.attempt, run.lost,
    { "node", run.node or "", "started_at", run.started_at or "", "reason", reason or "", "result", result or "" })
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
  redis.call("HSET", key("logged", run, attempt), "until", string.format("%.0f", now + late_logs_ms))
  if redis.call("PEXPIRE", key("log", run, attempt), setting("logs_ms")) == 1 then ask_drain(run, attempt) end
end

-- Frees everything that lives and dies with a lease.
local function leave(run)
  redis.call("ZREM", key("leased"), run.id)
  redis.call("SREM", key("running", run.lane), run.id)
  redis.call("HDEL", key("leases", run.node), run.id)
  if run.locks and run.locks ~= "[]" then
    for _, lock in ipairs(cjson.decode(run.locks)) do redis.call("SREM", key("held", lock), run.id) end
  end
  end_log(run.id, run.attempt)
end

local function over(run, state, reason, result, ...)
  become(run, state, reason, result, "ended_at", now_text, "reason", reason or "", "result", result or "", ...)
  redis.call("ZADD", key("ended"), now_text, run.id)
end

-- A run that comes back lines up before all that wait for their first attempt; nobody is told, it was queued before.
local function queue_again(run, ...)
  local entry = redis.call("XADD", key("again", run.lane), "*", "run", run.id, "script", run.script)
  move(run, "queued", "line", "again", "entry", entry, ...)
  redis.call("HDEL", key("run", run.id), "node", "token", "locks")
  redis.call("SADD", key("lines"), run.lane)
end

-- Takes a lease away because it ran out, or because its process is gone.
local function lose(id)
  local run = read_run(id)
  leave(run)
  ring("stop")
  run.lost = redis.call("HINCRBY", key("run", id), "lost", 1)
  if run.cancel then
    over(run, "cancelled", run.cancel)
  elseif run.lost >= lane_rules(run.lane).max_lost then
    over(run, "dead", "lost " .. run.lost .. (run.lost == 1 and " time" or " times"))
  else
    queue_again(run)
  end
end

-- Nobody asked anything of this pool for so long: its clock was set, or nobody was there who could have renewed.
local longest_silence_ms = 60000

-- Moves every lease and hold along with a silence or a clock that was set: none ends for it, and none outlives its node by it.
local followed
local function follow_clock()
  if followed then return end
  followed = true
  local seen = tonumber(field(key("clock"), "seen")) or now
  if math.abs(now - seen) > longest_silence_ms then
    for _, run in ipairs(redis.call("ZRANGE", key("leased"), 0, -1)) do
      redis.call("ZINCRBY", key("leased"), now - seen, run)
    end
    local all = redis.call("HGETALL", key("holds"))
    for i = 1, #all, 2 do
      local hold = cjson.decode(all[i + 1])
      hold.till, hold.since = hold.till + now - seen, hold.since + now - seen
      redis.call("HSET", key("holds"), all[i], cjson.encode(hold))
    end
    -- A wait goes on over a silence; a clock that was set back would make it so much longer.
    if now < seen then
      for _, run in ipairs(redis.call("ZRANGE", key("later"), 0, -1)) do
        redis.call("ZINCRBY", key("later"), now - seen, run)
      end
    end
  end
  if math.abs(now - seen) > 1000 or seen == now then redis.call("HSET", key("clock"), "seen", now) end
end

-- Whether a gateway that nodes come through is there, or none has been for so long that none will come back.
local function has_gate()
  local till = tonumber(field(key("clock"), "gate_till"))
  return not till or till >= now or till < now - setting("gateways_ms")
end

-- Leases that came through a gateway are not lost while there is none: their nodes cannot renew.
local function reap()
  local late = redis.call("ZRANGEBYSCORE", key("leased"), "-inf", now, "LIMIT", 0, 50)
  local lost = 0
  for _, run in ipairs(late) do
    if field(key("run", run), "through") == "1" and not has_gate() then
      redis.call("ZADD", key("leased"), now + 5000, run)
    else
      lose(run)
      lost = lost + 1
    end
  end
  if lost > 0 then ring_if_work_waits() end
  return lost
end

local function cancel(id, why)
  local run = read_run(id)
  if not run.state then return "unknown" end
  if run.state == "queued" then
    if run.line == "later" then
      redis.call("ZREM", key("later"), id)
    else
      redis.call("XDEL", key(run.line, run.lane), run.entry)
      forget_empty_line(run.lane)
    end
    redis.call("HSET", key("run", id), "cancel", why)
    over(run, "cancelled", why)
    return "cancelled"
  elseif run.state == "running" then
    redis.call("HSETNX", key("run", id), "cancel", why)
    ring("stop")
    return "asked"
  end
  return "over"
end

-- The run of an issue that waits for a later move of it, or nil: it is among the newest, for there is one at most.
local function waiting_run(source, issue_key)
  if issue_key == "" then return nil end
  for _, mate in ipairs(redis.call("ZRANGE", key("issue", issue_key), 0, 99, "REV")) do
    local due = tonumber(redis.call("ZSCORE", key("later"), mate) or 0)
    if due > now and field(key("run", mate), "source") == source then return mate, due end
  end
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
