-- ask: id (whole, or an ending), most -> {"none"} | {"many", run…} | {"run", run, now, fields, posts…}
local run = ask.id
if redis.call("EXISTS", key("run", run)) == 0 then
  if #run < 4 then return { "none" } end
  local ending = "[" .. run:reverse()
  local found = redis.call("ZRANGE", key("endings"), ending, ending .. "\255", "BYLEX", "LIMIT", 0, ask.most)
  if #found == 0 then return { "none" } end
  if #found > 1 then
    local many = { "many" }
    for _, reversed in ipairs(found) do many[#many + 1] = reversed:reverse() end
    return many
  end
  run = found[1]:reverse()
end

local answer = { "run", run, now, redis.call("HGETALL", key("run", run)) }
for _, name in ipairs(redis.call("ZRANGE", key("posts", run), 0, -1)) do
  local fields = redis.call("HGETALL", key("post", name))
  if #fields > 0 then answer[#answer + 1] = fields end
end
return answer
