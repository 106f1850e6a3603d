-- ask: subject -> {"untold"} | {"told", fields…}
for _, kind in ipairs({ "run", "report" }) do
  if tonumber(field(key(kind, ask.subject), "untold") or 0) > 0 then return { "untold" } end
end

local answer = { "told" }
for _, name in ipairs(redis.call("ZRANGE", key("posts", ask.subject), 0, -1)) do
  local fields = redis.call("HGETALL", key("post", name))
  if #fields > 0 then answer[#answer + 1] = fields end
end
return answer
