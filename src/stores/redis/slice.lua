-- ask: run_id, attempt, from, limit -> {size, trimmed, parts, bytes from `from` on, as far as they are here}
local m = redis.call("HMGET", key("logged", ask.run_id, ask.attempt), "size", "trimmed", "parts")
local size, trimmed = tonumber(m[1] or 0), tonumber(m[2] or 0)
local bytes = ""
if ask.from >= trimmed and ask.limit > 0 then
  bytes = redis.call("GETRANGE", key("log", ask.run_id, ask.attempt), ask.from - trimmed, ask.from - trimmed + ask.limit - 1)
end
return { size, trimmed, m[3] or "", bytes }
