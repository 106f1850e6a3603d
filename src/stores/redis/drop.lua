-- ask: run_id
return drop(ask.run_id)
