-- ask: withdrawn, run_id, marks [{key, window_ms, keep_ms, only}], seen_at, lane, script, source, issue_key, retry_of; ARGV[3] the task (text)
-- and where it waits for a later move of its issue: wait_ms, most_ms, wish (a hash of what it builds)
local run, lane = ask.run_id, ask.lane
local hash = key("run", run)
if redis.call("EXISTS", hash) == 1 then return { "queued", run } end

-- One that took the place of another was answered with that run.
local waits, due
if ask.wait_ms then
  local into = redis.call("GET", key("mark", "a/" .. run))
  if into then return { "queued", into:match("^%S+") } end
  waits, due = waiting_run(ask.source, ask.issue_key)
end

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
  if mark.key:sub(1, 2) ~= "d/" then
    if is_withdrawn(twin) then return nil end
    -- Of the run that waits only the very same move is a duplicate: another one takes its place.
    if waits == twin and field(key("run", twin), "wish") ~= ask.wish then return nil end
  end
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
local function cancel_previous(newer)
  if ask.issue_key == "" or not lane_rules(lane).cancel_previous then return end
  for _, mate in ipairs(redis.call("ZRANGE", mates, -1000, -1)) do
    local h = redis.call("HMGET", key("run", mate), "lane", "source")
    if h[1] == lane and h[2] == ask.source and mate ~= newer then cancel(mate, "newer run " .. newer) end
  end
end

local function intents()
  local keys = {}
  for _, mark in ipairs(ask.marks) do
    if mark.key:sub(1, 2) ~= "d/" and mark.only ~= "look" then keys[#keys + 1] = mark.key end
  end
  return keys
end

-- A later move goes into the run that waits; the intent that it replaces may come again.
if waits then
  local later = key("run", waits)
  local h = redis.call("HMGET", later, "queued_at", "intents")
  due = math.min(math.max(due, now + ask.wait_ms), tonumber(h[1]) + ask.most_ms)
  local from, to = ARGV[3]:find('"run_id":"' .. run .. '"', 1, true)
  local task = ARGV[3]:sub(1, from - 1) .. '"run_id":"' .. waits .. '"' .. ARGV[3]:sub(to + 1)
  local kept, mine = {}, intents()
  for _, name in ipairs(mine) do kept[name] = true end
  cancel_previous(waits)
  redis.call("ZADD", key("later"), due, waits)
  redis.call("HSET", later, "lane", lane, "script", ask.script, "task", task, "wish", ask.wish,
    "intents", table.concat(mine, " "), "due", string.format("%.0f", due))
  for name in h[2]:gmatch("%S+") do
    if not kept[name] then redis.call("DEL", key("mark", name)) end
  end
  for _, mark in ipairs(ask.marks) do
    local said = redis.call("GET", key("mark", mark.key))
    -- An intent is not renewed: its window counts from first sight.
    if mark.only ~= "look" and not (said and said:match("^%S+") == waits) then remember(mark, waits) end
  end
  remember({ key = "a/" .. run, keep_ms = 86400000 }, waits)
  return { "queued", waits }
end

cancel_previous(run)
local seq = redis.call("INCR", key("seq"))
local line, entry = "wait", ""
if (ask.wait_ms or 0) > 0 then
  line, due = "later", now + ask.wait_ms
  redis.call("ZADD", key("later"), due, run)
  redis.call("HSET", hash, "wish", ask.wish, "intents", table.concat(intents(), " "), "due", string.format("%.0f", due))
else
  entry = redis.call("XADD", key("wait", lane), "*", "run", run, "script", ask.script)
  redis.call("SADD", key("lines"), lane)
end
redis.call("HSET", hash, "seq", seq, "state", "queued", "lane", lane, "script", ask.script, "source", ask.source,
  "issue_key", ask.issue_key, "task", ARGV[3], "attempt", 0, "lost", 0, "told", 1, "untold", 1, "queued_at", now,
  "line", line, "entry", entry, "retry_of", ask.retry_of)
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
