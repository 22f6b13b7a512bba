/** A folder that is gone at the end of the block: `using folder = new TempFolder()`. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export class TempFolder implements Disposable {
  readonly path = mkdtempSync(join(tmpdir(), "tidegate-test-"));

  /** Writes a file; returns its path. */
  write(name: string, content: string): string {
    const path = join(this.path, name);
    writeFileSync(path, content);
    return path;
  }

  [Symbol.dispose](): void {
    // Processes that were killed a moment ago may still have been writing.
    rmSync(this.path, { recursive: true, force: true, maxRetries: 5 });
  }
}
