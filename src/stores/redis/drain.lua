-- ask: place, name, patience_ms -> {run, attempt, where this place's part begins, trimmed, bytes} or {}
-- What a place has begun it goes on with; another takes over only what has not moved for `patience_ms`. That is no lock:
-- whoever comes late writes the same bytes at the same place, and `trim` refuses it.
local function claim(due, member)
  local run, attempt = member:match("^(%S+) (%S+)$")
  local meta, log = key("logged", run, attempt), key("log", run, attempt)
  local m = redis.call("HMGET", meta, "drainer", "trimmed", "parts", "part")
  if not m[2] or redis.call("EXISTS", log) == 0 then
    redis.call("ZREM", key("drain"), member)
    return nil
  end
  if m[1] == ask.place then return { run, attempt, m[4], m[2], redis.call("GET", log) } end
  if m[1] and now < due + ask.patience_ms then return nil end
  redis.call("HSET", meta, "drainer", ask.place, "part", m[2],
    "parts", (m[3] or "") .. m[2] .. " " .. ask.place .. " " .. ask.name .. "\n")
  return { run, attempt, m[2], m[2], redis.call("GET", log) }
end

local due = redis.call("ZRANGE", key("drain"), 0, 99, "WITHSCORES")
for i = 1, #due, 2 do
  local claimed = claim(tonumber(due[i + 1]), due[i])
  if claimed then return claimed end
end
return {}
