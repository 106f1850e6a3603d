-- ask: - -> {{gateway, uses (text), milliseconds since then}…}
local answer = {}
local said = redis.call("ZRANGE", key("tallied"), 0, -1, "WITHSCORES")
for i = 1, #said, 2 do
  answer[#answer + 1] = { said[i], redis.call("HGET", key("tallies"), said[i]), now - tonumber(said[i + 1]) }
end
return answer
