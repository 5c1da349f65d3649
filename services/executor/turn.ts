/** Turn runs something once after all that happens in the present turn: what comes in bulk is answered in bulk. */
export class Turn {
  readonly #run: () => void;
  #due = false;

  constructor(run: () => void) {
    this.#run = run;
  }

  /** Asks for it; asking again before it ran changes nothing. */
  ask(): void {
    if (this.#due) return;
    this.#due = true;
    queueMicrotask(() => {
      this.#due = false;
      this.#run();
    });
  }
}
