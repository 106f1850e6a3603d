import type { Database } from "bun:sqlite";
import { MeshError } from "../../core/error.ts";

const version = 1;

// `line` is lane and script in one, so that the head of what a node may take is one step into one index.
// `told` is the seq of the last event of the run. Locks and limits of runs have no table: they are counted from the running
// rows, so they cannot outlive a lease; `locks` are those that the lease took, `ttl_ms` what its node was told, whatever is
// configured since. `hold` is who holds or wants a lock from outside. `former` is who had an attempt that
// was taken back: its log may come late. `not_before` is when a debounced run may be leased, `intents` the marks of its latest
// move. An index costs every accept: what only ended runs need indexes only those.
const tables = `
CREATE TABLE run (
  seq INTEGER PRIMARY KEY, run_id TEXT NOT NULL UNIQUE, state TEXT NOT NULL, reason TEXT,
  lane TEXT NOT NULL, line TEXT NOT NULL, source TEXT NOT NULL, issue_key TEXT NOT NULL, task TEXT NOT NULL, retry_of TEXT,
  attempt INT NOT NULL DEFAULT 0, lost INT NOT NULL DEFAULT 0, told INT NOT NULL DEFAULT 0, again INT NOT NULL DEFAULT 0,
  node TEXT, token TEXT, lease_until INT, cancel TEXT, result TEXT, ended_by INT,
  queued_at INT NOT NULL, started_at INT, ended_at INT, lock_wait INT NOT NULL DEFAULT 0, lock_since INT, dropped_at INT,
  not_before INT, intents TEXT, ttl_ms INT, locks TEXT) STRICT;
CREATE INDEX run_waiting ON run(line, seq) WHERE state = 'queued';
CREATE INDEX run_later ON run(not_before) WHERE state = 'queued' AND not_before IS NOT NULL;
CREATE INDEX run_leased ON run(lease_until) WHERE state = 'running';
CREATE INDEX run_over ON run(ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX run_ended ON run(state, seq) WHERE ended_at IS NOT NULL;
CREATE INDEX run_issue ON run(source, issue_key, seq);

CREATE TABLE former (run_id TEXT NOT NULL, attempt INT NOT NULL, node TEXT NOT NULL, until INT NOT NULL, PRIMARY KEY (run_id, attempt)) STRICT, WITHOUT ROWID;
CREATE TABLE hold (
  token TEXT PRIMARY KEY, lock TEXT NOT NULL, node TEXT NOT NULL, since INT NOT NULL, until INT NOT NULL, held INT NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE mark (mark BLOB PRIMARY KEY, run_id TEXT NOT NULL, first_seen INT NOT NULL, keep_until INT NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE event (
  id INTEGER PRIMARY KEY AUTOINCREMENT, subject TEXT NOT NULL, seq INT NOT NULL, state TEXT NOT NULL, at INT NOT NULL,
  node TEXT, attempt INT NOT NULL, lost INT NOT NULL, reason TEXT, started_at INT, result TEXT, report TEXT) STRICT;
CREATE TABLE report (subject TEXT NOT NULL, state TEXT NOT NULL, seq INT NOT NULL, at INT NOT NULL, PRIMARY KEY (subject, state)) STRICT, WITHOUT ROWID;

CREATE TABLE post (
  post_key TEXT PRIMARY KEY, subject TEXT NOT NULL, destination TEXT NOT NULL, seq INT NOT NULL, state TEXT NOT NULL,
  announcement TEXT NOT NULL, status TEXT NOT NULL, due_at INT NOT NULL, tries INT NOT NULL DEFAULT 0,
  claim TEXT, claim_until INT, settled_by TEXT, unsure INT NOT NULL DEFAULT 0, why TEXT, refused_under TEXT, again TEXT, once_more INT NOT NULL DEFAULT 0, created_at INT NOT NULL, at INT NOT NULL) STRICT;
CREATE INDEX post_due ON post(destination, due_at) WHERE status = 'waiting';
CREATE INDEX post_line ON post(subject, destination, seq);
CREATE INDEX post_owed ON post(created_at) WHERE state IN ('failed', 'dead') AND status IN ('waiting', 'sending', 'dead');
CREATE INDEX post_refused ON post(destination, created_at) WHERE refused_under IS NOT NULL;
CREATE INDEX post_sending ON post(claim_until) WHERE status = 'sending';
CREATE TABLE thread (subject TEXT NOT NULL, destination TEXT NOT NULL, handle TEXT NOT NULL, PRIMARY KEY (subject, destination)) STRICT, WITHOUT ROWID;
CREATE TABLE destination (
  name TEXT PRIMARY KEY, paused_until INT NOT NULL DEFAULT 0, failures INT NOT NULL DEFAULT 0,
  open_until INT, opened_at INT, probe TEXT, cause TEXT, setup TEXT, why TEXT) STRICT, WITHOUT ROWID;

CREATE TABLE alert (alert_key TEXT PRIMARY KEY, opened_at INT NOT NULL, opened_with TEXT, resolved_at INT) STRICT, WITHOUT ROWID;
CREATE TABLE delivery (
  id INTEGER PRIMARY KEY AUTOINCREMENT, at INT NOT NULL, source TEXT NOT NULL, correlation_id TEXT NOT NULL,
  outcome TEXT NOT NULL, reason TEXT, run_id TEXT, issue_key TEXT) STRICT;
CREATE TABLE node (node TEXT PRIMARY KEY, facts TEXT NOT NULL, last_seen INT NOT NULL, mode TEXT NOT NULL DEFAULT 'active', why TEXT) STRICT, WITHOUT ROWID;
CREATE TABLE gateway (gateway TEXT PRIMARY KEY, facts TEXT NOT NULL, last_seen INT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE tally (gateway TEXT PRIMARY KEY, uses TEXT NOT NULL, at INT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
`;

// With a digest of the tables: a change of them that forgets the version must not meet an older file in silence.
const schema = `${version} ${new Bun.CryptoHasher("sha256").update(tables).digest("hex").slice(0, 8)}`;

/** Creates the tables in an empty file; throws `config` where another meshmac has written the file. */
export function settleSchema(db: Database): void {
  db.transaction(() => {
    const found = schemaOf(db);
    if (found === schema) return;
    if (found !== null) {
      throw new MeshError("config", `the store has schema ${found}, this meshmac knows ${schema}`, {
        hint: "install the meshmac that wrote it, or move the file aside and begin anew",
      });
    }
    db.run(tables);
    db.run("INSERT INTO setting (name, value) VALUES ('schema', ?)", [schema]);
  }).immediate();
}

function schemaOf(db: Database): string | null {
  const settled = db.query("SELECT 1 FROM sqlite_schema WHERE name = 'setting'").get() !== null;
  if (!settled) return null;
  return db.query<{ value: string }, []>("SELECT value FROM setting WHERE name = 'schema'").get()?.value ?? "0";
}
