/*
 * The entry of what works beside a worker: the process that holds locks, the one that reads files, and the thread that makes
 * digests. It has a bundle of its own, a tenth of the worker's: each of them is started for one job, and waited for.
 */
import { isCaptureProcess, serveCaptures } from './captureProcess.ts';
import { isDigestThread, serveDigests } from './digestThread.ts';
import { isLockProcess, serveLocks } from './lockProcess.ts';

if (isDigestThread()) serveDigests();
else if (isCaptureProcess()) serveCaptures();
else if (isLockProcess()) serveLocks();
