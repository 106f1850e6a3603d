-- ask: run_id, attempt, node, offset, late, window; ARGV[3] the bytes -> the offset wanted next, or -1 when stale
-- No more than `window` bytes wait here for a gateway: beyond it the answer is smaller than what was sent.
local attempt = tostring(ask.attempt)
local meta = key("logged", ask.run_id, attempt)
local m = redis.call("HMGET", meta, "node", "until", "taken", "size", "trimmed", "cut")
local ended = tonumber(m[2] or 0)
if not holds(ask.node, ask.run_id, ask.attempt) and not (ask.late and m[1] == ask.node and now < ended) then return -1 end

local taken, size = tonumber(m[3] or 0), tonumber(m[4] or 0)
if ask.offset > taken then return taken end
local fresh = ARGV[3]:sub(taken - ask.offset + 1)
if m[6] then return redis.call("HINCRBY", meta, "taken", #fresh) end

local waiting = size - tonumber(m[5] or 0)
fresh = fresh:sub(1, math.max(0, ask.window - waiting))
if #fresh == 0 then return taken end

local limit = setting("log_limit")
local kept = fresh
if size + #fresh > limit then
  -- A node that keeps to its lease never comes here.
  kept = fresh:sub(1, math.max(0, limit - size)) .. "\n[the rest is left out here: " .. limit .. " bytes are kept of an attempt]\n"
  redis.call("HSET", meta, "cut", 1)
end
local log = key("log", ask.run_id, attempt)
redis.call("APPEND", log, kept)
redis.call("HSET", meta, "taken", taken + #fresh, "size", size + #kept)
if ended > 0 then redis.call("PEXPIRE", log, setting("logs_ms")) end
if ended > 0 or (waiting < ask.window / 4 and waiting + #kept >= ask.window / 4) then ask_drain(ask.run_id, attempt) end
return taken + #fresh
