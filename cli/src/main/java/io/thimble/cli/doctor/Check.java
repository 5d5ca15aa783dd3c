package io.thimble.cli.doctor;

/**
 * One thing that was looked at.
 *
 * @param verdict what it means
 * @param subject what was looked at
 * @param finding what was found
 * @param remedy what to do about it; empty where nothing is to be done
 */
record Check(Verdict verdict, String subject, String finding, String remedy) {
    /** What a finding means. */
    enum Verdict {
        /** As it should be. */
        OK("ok     "),
        /** VMs run, but something is slower or cannot be had. */
        LIMITED("limited"),
        /** VMs do not run. */
        MISSING("MISSING");

        final String label;

        Verdict(String label) {
            this.label = label;
        }
    }

    static Check ok(String subject, String finding) {
        return new Check(Verdict.OK, subject, finding, "");
    }

    static Check limited(String subject, String finding, String remedy) {
        return new Check(Verdict.LIMITED, subject, finding, remedy);
    }

    static Check missing(String subject, String finding, String remedy) {
        return new Check(Verdict.MISSING, subject, finding, remedy);
    }
}
