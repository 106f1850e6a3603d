import type { Database } from "bun:sqlite";
import { MeshError } from "../../core/error.ts";
import { failureOf, isDisk } from "./failure.ts";

interface Pending {
  step: () => unknown;
  resolve: (answer: unknown) => void;
  reject: (error: unknown) => void;
}

export interface Writer {
  /** Runs `step` inside a write transaction and answers after COMMIT. Steps of one turn of the event loop share one. */
  commit<T>(step: () => T): Promise<T>;
  /** Commits what is pending, then refuses what comes. */
  close(): void;
}

/**
 * Opens the one way to write. A commit costs an fsync whatever it holds, so the steps that came in one turn are committed together;
 * each has its own answer, and where one fails the others go on without it. When the disk fails, none of them is kept.
 */
export function openWriter(db: Database): Writer {
  const begin = db.prepare("BEGIN IMMEDIATE");
  const commit = db.prepare("COMMIT");
  const rollback = db.prepare("ROLLBACK");
  let line: Pending[] = [];
  let closed = false;

  function together(batch: Pending[]): unknown[] {
    begin.run();
    try {
      const answers = batch.map(({ step }) => step());
      commit.run();
      return answers;
    } catch (error) {
      // SQLite rolls back by itself after some failures.
      if (db.inTransaction) rollback.run();
      throw error;
    }
  }

  function settle(batch: Pending[]): void {
    try {
      const answers = together(batch);
      batch.forEach(({ resolve }, i) => resolve(answers[i]));
    } catch (error) {
      if (batch.length === 1 || isDisk(error)) for (const { reject } of batch) reject(failureOf(error));
      else for (const one of batch) settle([one]);
    }
  }

  function flush(): void {
    const batch = line;
    line = [];
    if (batch.length > 0) settle(batch);
  }

  return {
    commit<T>(step: () => T): Promise<T> {
      if (closed) return Promise.reject(new MeshError("unavailable", "the store is closed"));
      return new Promise<T>((resolve, reject) => {
        line.push({ step, resolve: (answer) => resolve(answer as T), reject });
        if (line.length === 1) setImmediate(flush);
      });
    },
    close() {
      flush();
      closed = true;
    },
  };
}
