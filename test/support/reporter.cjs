/* global setTimeout */
// CommonJS, because mocha loads it by path in Node and in the extension host alike.
const { appendFileSync } = require('node:fs');
const { reporters, Runner } = require('mocha');

const LEAK_TIMEOUT_MS = 10_000;

/** Mocha's own report, and what it came to as one JSON line at the end of the file named in TEST_TALLY. */
module.exports = class TallyReporter extends reporters.Spec {
  constructor(runner, options) {
    super(runner, options);
    const { TEST_TALLY: file, TEST_SUITE: suite, TEST_HOST: host } = process.env;
    const { constants } = Runner;
    const failures = [];
    const pending = [];
    runner.on(constants.EVENT_TEST_FAIL, (test, error) => {
      failures.push({
        title: titleOf(test),
        message: String(error.message ?? error).split('\n')[0],
      });
    });
    runner.on(constants.EVENT_TEST_PENDING, (test) => pending.push(titleOf(test)));
    // A second try that succeeds is no secret: what failed the first time is shown as a failure would be.
    runner.on(constants.EVENT_TEST_RETRY, (test, error) => {
      console.error(`    failed once, tried again: ${test.title}\n${error.stack ?? error}`);
    });
    runner.once(constants.EVENT_RUN_END, () => {
      const { passes } = runner.stats;
      const line = JSON.stringify({ suite, passes, failures, pending });
      if (file) appendFileSync(file, line + '\n');
      if (!host) setTimeout(failForLeak, LEAK_TIMEOUT_MS).unref();
    });
  }
};

function titleOf(test) {
  return test.titlePath().join(' › ');
}

/** Runs only in a process that something keeps alive: a test that ends badly must not hang all of them. */
function failForLeak() {
  const resources = [...new Set(process.getActiveResourcesInfo())].join(', ');
  console.error(`The tests are over, but something that they started is not: ${resources}`);
  // After mocha's own listener, which sets the code to the number of failures.
  process.once('exit', () => (process.exitCode = 1));
  process.exit();
}
