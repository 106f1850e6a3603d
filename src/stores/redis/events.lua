-- ask: limit, heard (states, or nothing) -> [id, fields, task]…, oldest first
local heard
if ask.heard then
  heard = {}
  for _, state in ipairs(ask.heard) do heard[state] = true end
end

-- An event of a run in a state that nobody hears goes as if it had been expanded to no post.
local function forgotten(id, run, state)
  if not heard or heard[state] or redis.call("EXISTS", key("run", run)) == 0 then return false end
  redis.call("XDEL", key("events"), id)
  redis.call("HINCRBY", key("run", run), "untold", -1)
  return true
end

local answer = {}
local seen
repeat
  local page = redis.call("XRANGE", key("events"), "-", "+", "COUNT", ask.limit)
  seen = #page
  for _, entry in ipairs(page) do
    local id, fields = entry[1], entry[2]
    if not forgotten(id, fields[2], fields[6]) then
      answer[#answer + 1] = { id, fields, redis.call("HGET", key("run", fields[2]), "task") }
    end
  end
until #answer > 0 or seen < ask.limit
return answer
