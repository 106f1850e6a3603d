-- ask: limit -> [id, fields, task]…, oldest first
local answer = {}
for _, entry in ipairs(redis.call("XRANGE", key("events"), "-", "+", "COUNT", ask.limit)) do
  answer[#answer + 1] = { entry[1], entry[2], redis.call("HGET", key("run", entry[2][2]), "task") }
end
return answer
