package io.thimble.it;

import java.lang.annotation.ElementType;
import java.lang.annotation.Inherited;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;
import org.junit.jupiter.api.extension.ExtendWith;

/**
 * The test needs {@code /dev/kvm}: it is skipped, with the reason, where there is none, and fails there if {@link
 * HostKvm#REQUIRE} is set.
 */
@Target({ElementType.TYPE, ElementType.METHOD})
@Retention(RetentionPolicy.RUNTIME)
@Inherited
@ExtendWith(RequiresKvmCondition.class)
public @interface RequiresKvm {
    /** Returns what the test does that only KVM on VMX or SVM can; empty if it runs on kvm-pvm as well. */
    String hardware() default "";
}
