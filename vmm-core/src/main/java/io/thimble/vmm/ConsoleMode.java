package io.thimble.vmm;

/** What the guest agent makes of the console. Without the agent the guest's own system decides, and neither has an effect. */
public enum ConsoleMode {
    /**
     * A terminal for people: it echoes, edits lines, ends them by CR LF, and turns keys into signals. The command's standard
     * input, output and error are the terminal.
     */
    TERMINAL,
    /**
     * A stream for programs: bytes pass as they are, in both directions. The command's standard input is a pipe that ends
     * when the input stream ends (at once if there is none); its standard output and error are the console. Input waits
     * until the command runs.
     */
    STREAM
}
