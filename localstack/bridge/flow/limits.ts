/** The most bytes of one queue in hand at once, by the size of its last messages, each way. */
export const MOST_BYTES = 16_777_216;

/** The most calls of SQS at once for one queue, each way. */
export const CALLS = 8;
