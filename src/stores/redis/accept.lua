-- ask: withdrawn, run_id, marks [{key, window_ms, keep_ms, only}], seen_at, lane, script, source, issue_key, retry_of; ARGV[3] the task (text)
local run, lane = ask.run_id, ask.lane
local hash = key("run", run)
if redis.call("EXISTS", hash) == 1 then return { "queued", run } end

-- An issue that was dragged out and comes in again wants its build, although its intent was seen.
local function is_withdrawn(twin)
  local h = redis.call("HMGET", key("run", twin), "state", "reason")
  return h[1] == "cancelled" and h[2] and h[2]:sub(1, #ask.withdrawn) == ask.withdrawn
end

local function within_window(mark)
  if mark.only == "leave" then return nil end
  local said = redis.call("GET", key("mark", mark.key))
  if not said then return nil end
  local twin, first_seen = said:match("^(%S+) (%d+)$")
  if math.abs(ask.seen_at - tonumber(first_seen)) >= mark.window_ms then return nil end
  if mark.key:sub(1, 2) ~= "d/" and is_withdrawn(twin) then return nil end
  return twin
end

local function remember(mark, owner)
  redis.call("SET", key("mark", mark.key), owner .. " " .. string.format("%.0f", ask.seen_at), "PX", mark.keep_ms)
end

local twin
for _, mark in ipairs(ask.marks) do twin = twin or within_window(mark) end
if twin then
  -- A late retry of this delivery must find its run even when the intent's window is over by then.
  for _, mark in ipairs(ask.marks) do
    if mark.key:sub(1, 2) == "d/" and not within_window(mark) then remember(mark, twin) end
  end
  return { "duplicate", twin }
end

if ask.retry_of ~= "" then drop(ask.retry_of) end

local mates = key("issue", ask.issue_key)
if ask.issue_key ~= "" and lane_rules(lane).cancel_previous then
  for _, mate in ipairs(redis.call("ZRANGE", mates, -1000, -1)) do
    local h = redis.call("HMGET", key("run", mate), "lane", "source")
    if h[1] == lane and h[2] == ask.source then cancel(mate, "newer run " .. run) end
  end
end

local seq = redis.call("INCR", key("seq"))
local entry = redis.call("XADD", key("wait", lane), "*", "run", run, "script", ask.script)
redis.call("SADD", key("lines"), lane)
redis.call("HSET", hash, "seq", seq, "state", "queued", "lane", lane, "script", ask.script, "source", ask.source,
  "issue_key", ask.issue_key, "task", ARGV[3], "attempt", 0, "lost", 0, "told", 1, "untold", 1, "queued_at", now,
  "line", "wait", "entry", entry, "retry_of", ask.retry_of)
redis.call("ZADD", key("in", "queued"), seq, run)
redis.call("ZADD", key("runs"), seq, run)
redis.call("ZADD", mates, seq, run)
redis.call("ZADD", key("endings"), 0, run:reverse())
put_event(run, 1, "queued", 0, 0, {})
for _, mark in ipairs(ask.marks) do
  if mark.only ~= "look" then remember(mark, run) end
end
ring("work")
return { "queued", run }
