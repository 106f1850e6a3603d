-- ask: run_id, why
return cancel(ask.run_id, ask.why)
