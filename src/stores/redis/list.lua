-- ask: states, lane, source, issue_key, node, since, dropped, limit, before (a seq) -> {next (or ""), [run, fields]…, now}, newest first
-- Every index is scored by seq, so the newest of several is the newest of each one's newest.
local indices = {}
if ask.issue_key then
  indices = { key("issue", ask.issue_key) }
elseif ask.states then
  for _, state in ipairs(ask.states) do indices[#indices + 1] = key("in", state) end
else
  indices = { key("runs") }
end

local wanted = {}
for _, state in ipairs(ask.states or {}) do wanted[state] = true end

local function newest(before, count)
  local found = {}
  for _, index in ipairs(indices) do
    local page = redis.call("ZRANGE", index, before, "-inf", "BYSCORE", "REV", "LIMIT", 0, count, "WITHSCORES")
    for i = 1, #page, 2 do found[#found + 1] = { run = page[i], seq = tonumber(page[i + 1]) } end
  end
  table.sort(found, function(a, b) return a.seq > b.seq end)
  return found
end

local function matches(run)
  local h = redis.call("HMGET", key("run", run), "state", "lane", "source", "node", "queued_at", "dropped_at")
  return h[1] and (not ask.states or wanted[h[1]]) and (not ask.lane or ask.lane == h[2])
    and (not ask.source or ask.source == h[3]) and (not ask.node or ask.node == h[4])
    and (not ask.since or tonumber(h[5]) >= ask.since)
    and (ask.dropped == nil or ask.dropped == (h[6] and true or false))
end

-- A filter without an index of its own looks at most 2,000 runs far; the cursor goes on from there.
local answer, cursor = {}, ask.before
for _ = 1, 10 do
  local found = newest(cursor and "(" .. cursor or "+inf", 200)
  for i = 1, math.min(#found, 200) do
    local run = found[i].run
    if matches(run) then
      if #answer == ask.limit then return { cursor, answer, now } end
      answer[#answer + 1] = { run, redis.call("HGETALL", key("run", run)) }
    end
    cursor = string.format("%.0f", found[i].seq)
  end
  if #found < 200 then return { "", answer, now } end
end
return { cursor, answer, now }
