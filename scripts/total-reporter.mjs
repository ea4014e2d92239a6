// Prints the one line that scripts rely on, last: `N passed, N failed`.

export default class TotalReporter {
  onTestRunEnd(modules, errors, reason) {
    const count = { passed: 0, failed: 0, skipped: 0 };
    let brokenFiles = 0;
    for (const module of modules) {
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        count[state === 'passed' || state === 'failed' ? state : 'skipped'] += 1;
      }
      if (module.errors().length > 0) brokenFiles += 1;
    }
    const failed = count.failed + brokenFiles + errors.length;
    if (failed === 0 && reason === 'failed') process.exitCode = 1;
    const skipped = count.skipped > 0 ? `, ${count.skipped} skipped` : '';
    // After the other reporters' summaries.
    process.on('exit', () =>
      process.stdout.write(`\n${count.passed} passed, ${failed} failed${skipped}\n`),
    );
  }
}
