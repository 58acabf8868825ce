//! Things to do one after the other. What is added while nothing is under way is done at once, before `add` returns.

/** @typedef {{act: () => unknown, failed?: (error: unknown) => void, settled?: () => void}} Task */

export class Work {
  /** @type {Task[]} */
  #tasks = [];
  #isBusy = false;
  /** @type {(() => void)[]} */
  #waiting = [];

  /** Whether what is added next is begun at once. */
  get isIdle() {
    return !this.#isBusy;
  }

  /** @param {Task["act"]} act that may return a promise @param {Task["failed"]} [failed] @param {Task["settled"]} [settled] */
  add(act, failed, settled) {
    this.#tasks.push({ act, failed, settled });
    if (!this.#isBusy) this.#run();
  }

  /** Waits until nothing is left to do. @returns {Promise<void>} */
  idle() {
    return this.#isBusy ? new Promise((resolve) => this.#waiting.push(resolve)) : Promise.resolve();
  }

  #run() {
    this.#isBusy = true;
    for (let task = this.#tasks.shift(); task; task = this.#tasks.shift()) {
      const { act, failed, settled } = task;
      try {
        const result = act();
        if (result instanceof Promise) {
          void result.catch((error) => failed?.(error)).then(() => {
            settled?.();
            this.#run();
          });
          return;
        }
      } catch (error) {
        failed?.(error);
      }
      settled?.();
    }
    this.#isBusy = false;
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}
