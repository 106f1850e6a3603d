-- ask: run_id, attempt, node, state (`queued` hands back: the fence moves on, `lost` does not), reason, result (text)
local function finish(ask)
  local run = read_run(ask.run_id)
  if tonumber(run.ended_by) == ask.attempt then return "ok" end
  if run.state ~= "running" or run.node ~= ask.node or tonumber(run.attempt) ~= ask.attempt then return "stale" end

  leave(run)
  if ask.state == "queued" and not run.cancel then
    queue_again(run, "ended_by", ask.attempt)
  elseif ask.state == "queued" or ask.state == "cancelled" then
    over(run, "cancelled", run.cancel or ask.reason, ask.result, "ended_by", ask.attempt)
  else
    over(run, ask.state, ask.reason, ask.result, "ended_by", ask.attempt)
  end
  ring_if_work_waits()
  return "ok"
end
