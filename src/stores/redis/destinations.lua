-- -> now, [destination, fields, how many wait, how many are being sent]…
local sending = {}
for _, name in ipairs(redis.call("ZRANGE", key("sending"), 0, -1)) do
  local destination = field(key("post", name), "destination")
  if destination then sending[destination] = (sending[destination] or 0) + 1 end
end

local answer = { now }
for _, destination in ipairs(redis.call("SMEMBERS", key("destinations"))) do
  answer[#answer + 1] = {
    destination, redis.call("HGETALL", key("destination", destination)),
    redis.call("ZCARD", key("due", destination)), sending[destination] or 0,
  }
end
return answer
