-- ask: run_id, attempt, node, offset, limit; ARGV[3] the bytes -> the offset wanted next, or -1 when stale
if not holds(ask.node, ask.run_id, ask.attempt) then return -1 end

local hash = key("run", ask.run_id)
local file = key("log", ask.run_id, tostring(ask.attempt))
local logged = tonumber(field(hash, "logged"))
if ask.offset > logged then return logged end

local fresh = ARGV[3]:sub(logged - ask.offset + 1)
if #fresh == 0 then return logged end
if logged <= ask.limit then
  redis.call("APPEND", file, fresh:sub(1, ask.limit - logged))
  if logged + #fresh > ask.limit then redis.call("APPEND", file, "\n[log cut here: the store keeps " .. ask.limit .. " bytes]\n") end
end
-- Beyond the limit the offset moves on, so that the node need not know of it.
return redis.call("HINCRBY", hash, "logged", #fresh)
