-- ask: run_id, attempt, node, state (`queued` hands back: the fence moves on, `lost` does not), reason, result (text)
local run, hash = ask.run_id, key("run", ask.run_id)
if tonumber(field(hash, "ended_by")) == ask.attempt then return "ok" end
if not holds(ask.node, run, ask.attempt) then return "stale" end

leave(run)
redis.call("HSET", hash, "ended_by", ask.attempt)
local cancelled = field(hash, "cancel")
if ask.state == "queued" and cancelled then
  over(run, "running", "cancelled", cancelled, ask.result)
elseif ask.state == "queued" then
  queue_again(run)
elseif ask.state == "cancelled" then
  over(run, "running", "cancelled", cancelled or ask.reason, ask.result)
else
  over(run, "running", ask.state, ask.reason, ask.result)
end
ring_if_work_waits()
return "ok"
