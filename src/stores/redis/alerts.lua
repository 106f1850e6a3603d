-- ask: - -> {{key, open (1 | 0), at, opened_with}…}
local answer = {}
for _, name in ipairs(redis.call("ZRANGE", key("alerts"), 0, -1)) do
  local h = redis.call("HMGET", key("alert", name), "what", "at", "opened_with")
  if h[1] then answer[#answer + 1] = { name, h[1] == "open" and 1 or 0, h[2], h[3] or "" } end
end
return answer
