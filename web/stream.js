/** Reading newline-delimited JSON (application/jsonl) as it arrives. */

/**
 * Yields the object on each line of `body`, a ReadableStream of bytes. A line may arrive in any number of pieces; empty lines are
 * skipped. Throws SyntaxError for a line that is not JSON, and whatever the stream fails with. Leaving the loop early cancels
 * the stream, which closes the connection.
 */
export async function* readLines(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) break;
      const lines = (rest + value).split("\n");
      rest = lines.pop();
      for (const line of lines) if (line.trim()) yield JSON.parse(line);
    }
    if (rest.trim()) yield JSON.parse(rest);
  } finally {
    reader.cancel().catch(() => undefined); // a stream that has failed already cannot be cancelled, and need not be
  }
}
