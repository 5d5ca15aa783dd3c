package io.thimble.it;

import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;
import org.junit.jupiter.api.condition.DisabledIfSystemProperty;

/** The test runs the checkout's scripts, and Maven with them: it is skipped in the runner's L1, which has neither. */
@Target(ElementType.TYPE)
@Retention(RetentionPolicy.RUNTIME)
@DisabledIfSystemProperty(
        named = HostKvm.EMULATED,
        matches = "true",
        disabledReason = "it needs a checkout and Maven, which the runner's L1 has not")
public @interface RequiresCheckout {}
