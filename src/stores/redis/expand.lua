-- ask: events [{id, subject, seq, state, posts [{key, destination, announcement (text)}]}] -> per event 1, or 0 when another gateway was first
local function add(event, new)
  local post, destination = key("post", new.key), new.destination
  if redis.call("EXISTS", post) == 1 then return end
  redis.call("HSET", post, "subject", event.subject, "seq", event.seq, "state", event.state, "destination", destination,
    "announcement", new.announcement, "tries", 0, "created_at", now, "at", now)
  redis.call("ZADD", key("posts", event.subject), event.seq, new.key)
  local sent = tonumber(field(key("thread", destination, event.subject), "seq") or 0)
  if sent > event.seq then
    redis.call("HSET", post, "status", "replaced")
    redis.call("PEXPIRE", post, keep_told())
  else
    redis.call("HSET", post, "status", "waiting")
    redis.call("ZADD", key("line", destination, event.subject), event.seq, new.key)
    redis.call("ZADD", key("due", destination), moment, new.key)
    redis.call("ZADD", key("ready"), "LT", moment, destination)
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
