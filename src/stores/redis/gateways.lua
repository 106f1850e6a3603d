-- -> [gateway, facts, last_seen, milliseconds since then]
local seen = redis.call("ZRANGE", key("gateways_seen"), 0, -1, "WITHSCORES")
local answer = {}
for i = 1, #seen, 2 do
  answer[#answer + 1] = { seen[i], redis.call("HGET", key("gateways"), seen[i]), seen[i + 1], now - tonumber(seen[i + 1]) }
end
return answer
