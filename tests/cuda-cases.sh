# cuda-cases.sh: gpud's own tests that CUDA can pass, for the two scripts that run them: over the stand-in, and where
# there is a GPU. Left out are tests of what CUDA does not have (OpenCL's errors, work-group memory) and of kernels
# that the stand-in does not know. GPUD is the gpud.

export GPUD_DEVICE=cuda

# cuda_run PROGRAM TEST...
cuda_run() {
    local program=$1
    shift
    for test in "$@"; do
        GPUD_TESTS=$test run_captured timeout 120 "build/tests/$program"
        if [ "$status" = 0 ] && grep -q "^\[       OK \] $test" <<<"$stdout$stderr"; then
            ok "$program $test"
        else
            fail "$program $test" "status $status: $stdout $stderr"
        fi
    done
}

# cuda_program CASE PROGRAM ARGUMENT...
cuda_program() {
    local case=$1
    shift
    run_captured timeout 300 "$@"
    if [ "$status" = 0 ]; then
        ok "$case"
    else
        fail "$case" "status $status: $stdout $stderr"
    fi
}

# What shows soonest whether the device works, and how.
cuda_first_cases() {
    cuda_run gpud_test test_device_buffers_copy_and_fill test_offsets_of_buffers test_order_of_many_submissions
    cuda_run gpud_commands test_copy_2d test_fill_2d test_binary
    cuda_run gpud_operations test_gemm_in_one_buffer
    cuda_run gpud_test test_stray_kernel_loses_the_device
    cuda_run gpud_limits test_kernel_that_never_ends
}

# The others.
cuda_more_cases() {
    cuda_program "gpud_fuzz_tensors" build/tests/gpud_fuzz_tensors 200 2
    cuda_run gpud_fuzz_copies test_copies
    cuda_run gpud_order test_order
    cuda_run gpud_commands test_copy_2d_between_rows test_copy_2d_within_one_buffer test_bad_rows
    cuda_run gpud_limits test_much_work_goes_on test_others_go_on test_limited_again test_reset_with_limits \
        test_limits_that_are_wrong test_many_limits
    cuda_run gpud_test test_build_sees_no_host_files test_empty_submission_signals test_events_for_sleepers_only \
        test_destroy_hears_of_the_end test_builds_do_not_hold_up_fences test_two_machines_are_apart \
        test_pause_keeps_and_reset_forgets test_killed_device_process_is_replaced \
        test_killed_device_process_lets_destructions_go test_killed_front_is_replaced test_fronts_without_end \
        test_killed_keeper_leaves_broker test_killed_broker_leaves_machines test_reset_ends_endless_work \
        test_counts_tell_what_is_left test_many_segments_and_quick_reuse
    cuda_run gpud_kills test_kills
}
