/*
 * One deflate stream made on all cores, as parallel gzip tools do it: the data is cut into blocks, each is compressed by
 * itself with the 32 KB before it as its dictionary and ends in a sync flush, so that the blocks put together in their
 * order are one ordinary stream. The blocks are always the same, so the result does not depend on the number of cores.
 */
import { availableParallelism } from 'node:os';
import { constants, deflateRaw, deflateRawSync } from 'node:zlib';

const blockBytes = 256 * 1024;
/** How far back deflate can refer. */
const windowBytes = 32 * 1024;
/** Enough to keep all cores busy while finished ones wait for their turn, and little enough to be no burden. */
const mostInFlight = Math.min(2 * availableParallelism() + 4, 64);

/** Fills the buffer from where the last call ended, and returns how many bytes it got: fewer only at the end. */
export type ReadInto = (buffer: Buffer) => number;

/** The stream, piece by piece. Reads exactly `sizeBytes`, at least 1; throws when there are fewer. */
export async function* deflateBlocks(
  readInto: ReadInto,
  sizeBytes: number,
  level: number,
): AsyncGenerator<Buffer> {
  const inFlight: Promise<Buffer>[] = [];
  let dictionary: Buffer | undefined;
  let leftBytes = sizeBytes;
  const startNext = (): void => {
    const block = Buffer.allocUnsafe(Math.min(blockBytes, leftBytes));
    if (readInto(block) < block.length)
      throw new Error('The file became shorter while it was read.');
    leftBytes -= block.length;
    const compressed = deflateBlock(block, dictionary, level, leftBytes === 0);
    // It is awaited below, in its turn; until then a failure must not count as unhandled.
    compressed.catch(() => undefined);
    inFlight.push(compressed);
    dictionary = block.subarray(-windowBytes);
  };
  for (;;) {
    while (leftBytes > 0 && inFlight.length < mostInFlight) startNext();
    const next = inFlight.shift();
    if (next === undefined) return;
    yield await next;
  }
}

/** The stream of a file that is one block, made at once. */
export function deflateSmall(bytes: Buffer, level: number): Buffer {
  return deflateRawSync(bytes, { level, memLevel: 9, chunkSize: bytes.length + 1024 });
}

function deflateBlock(
  block: Buffer,
  dictionary: Buffer | undefined,
  level: number,
  isLast: boolean,
): Promise<Buffer> {
  const options = {
    level,
    memLevel: 9,
    chunkSize: block.length + 1024,
    finishFlush: isLast ? constants.Z_FINISH : constants.Z_SYNC_FLUSH,
    ...(dictionary !== undefined && { dictionary }),
  };
  return new Promise((resolve, reject) =>
    deflateRaw(block, options, (error, compressed) =>
      error === null ? resolve(compressed) : reject(error),
    ),
  );
}
