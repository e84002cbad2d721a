import { expect, it } from "vitest";
import { readEvents } from "./stream.ts";

function streamOf(text: string, size: number): ReadableStream<Uint8Array> {
  const bytes = new TextEncoder().encode(text);
  return new ReadableStream({
    start(controller) {
      for (let i = 0; i < bytes.length; i += size) controller.enqueue(bytes.slice(i, i + size));
      controller.close();
    },
  });
}

it.each([1, 2, 7, 1000])("reads events cut anywhere, in pieces of %i bytes", async (size) => {
  const text = 'data: {"a":"é🙂"}\n\ndata: {"b":2}\n\ndata: [DONE]\n\ndata: {"c":3}\n\n';
  const events: unknown[] = [];
  for await (const event of readEvents(streamOf(text, size))) events.push(event);
  expect(events).toEqual([{ a: "é🙂" }, { b: 2 }]);
});
