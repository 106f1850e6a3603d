-- ask: id, subject, seq, state, posts [{key, destination, announcement (text)}] -> 1, or 0 when another gateway was first
if redis.call("XDEL", key("events"), ask.id) == 0 then return 0 end
if redis.call("EXISTS", key("run", ask.subject)) == 1 then redis.call("HINCRBY", key("run", ask.subject), "untold", -1) end

for _, new in ipairs(ask.posts) do
  local post, destination = key("post", new.key), new.destination
  if redis.call("EXISTS", post) == 0 then
    redis.call("HSET", post, "subject", ask.subject, "seq", ask.seq, "state", ask.state, "destination", destination,
      "announcement", new.announcement, "tries", 0, "created_at", now, "at", now)
    redis.call("ZADD", key("posts", ask.subject), ask.seq, new.key)
    local sent = tonumber(field(key("thread", destination, ask.subject), "seq") or 0)
    if sent > ask.seq then
      redis.call("HSET", post, "status", "replaced")
      redis.call("PEXPIRE", post, keep_told())
    else
      redis.call("HSET", post, "status", "waiting")
      redis.call("ZADD", key("line", destination, ask.subject), ask.seq, new.key)
      redis.call("ZADD", key("due", destination), moment, new.key)
      redis.call("ZADD", key("ready"), "LT", moment, destination)
    end
  end
end
ring("posts")
return 1
