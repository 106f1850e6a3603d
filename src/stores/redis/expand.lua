-- ask: events [{id, subject, seq, state, posts [{key, destination, announcement (text)}]}] -> per event 1, or 0 when another gateway was first
local function add(event, new)
  local waits = put_post(event.subject, tonumber(event.seq), event.state, new)
  if waits and (event.state == "failed" or event.state == "dead") then
    redis.call("ZADD", key("owed"), "NX", now, event.seq .. ":" .. event.subject)
  end
end

local done, any = {}, false
for n, event in ipairs(ask.events) do
  done[n] = redis.call("XDEL", key("events"), event.id)
  if done[n] == 1 then
    for _, kind in ipairs({ "run", "report" }) do
      local subject = key(kind, event.subject)
      if redis.call("EXISTS", subject) == 1 then redis.call("HINCRBY", subject, "untold", -1) end
    end
    for _, new in ipairs(event.posts) do
      add(event, new)
      any = true
    end
  end
end
if any then ring("posts") end
return done
