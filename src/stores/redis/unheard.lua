-- ask: age_ms, limit -> {{subject, state, since, announcement, {{destination, status, why}…}}…}, newest first
local answer = {}
for _, member in ipairs(redis.call("ZREVRANGEBYSCORE", key("owed"), now - ask.age_ms, "-inf", "LIMIT", 0, ask.limit)) do
  local seq, subject = member:match("^(%d+):(.*)$")
  local posts, heard, state, since, announcement = {}, false, nil, nil, nil
  for _, name in ipairs(redis.call("ZRANGEBYSCORE", key("posts", subject), seq, seq)) do
    local h = redis.call("HMGET", key("post", name), "destination", "status", "why", "state", "created_at", "announcement")
    if h[1] then
      posts[#posts + 1] = { h[1], h[2], h[3] or "" }
      state, since, announcement = h[4], h[5], h[6]
      heard = heard or h[2] == "sent" or h[2] == "replaced"
    end
  end
  if heard or #posts == 0 then
    redis.call("ZREM", key("owed"), member) -- swept, or expired
  else
    answer[#answer + 1] = { subject, state, since, announcement, posts }
  end
end
return answer
