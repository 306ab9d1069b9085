//! Both filters, run by a model of the kernel's machine, so that every call can be tried without making it.

use seccompiler::sock_filter;

use super::*;

/// What the kernel would answer: `Ok` for "go on", else the error number.
fn verdict(call: c_long, arguments: [u64; 6]) -> Result<(), u32> {
    let arch = TargetArch::try_from(std::env::consts::ARCH).unwrap();
    // As the kernel does: the last filter is asked first, and the first of two equal objections counts.
    for program in [refused(arch, OWN).unwrap(), allowed(arch).unwrap()] {
        match run(&program, call, arguments) {
            0x7fff_0000 => {}
            answer => {
                assert_eq!(answer & 0xffff_0000, 0x0005_0000, "neither allowed nor an error: {answer:x}");
                return Err(answer & 0xffff);
            }
        }
    }
    Ok(())
}

/// The part of classic BPF that such filters use (Linux, Documentation/networking/filter.rst).
fn run(program: &[sock_filter], call: c_long, arguments: [u64; 6]) -> u32 {
    let arch: u32 = if cfg!(target_arch = "x86_64") { 0xc000_003e } else { 0xc000_00b7 };
    let mut data = Vec::new();
    data.extend(u32::try_from(call).unwrap().to_ne_bytes());
    data.extend(arch.to_ne_bytes());
    data.extend(0_u64.to_ne_bytes());
    arguments.iter().for_each(|argument| data.extend(argument.to_ne_bytes()));
    let (mut at, mut accumulator) = (0_usize, 0_u32);
    loop {
        let line = &program[at];
        at += 1;
        let mut jump = |holds: bool| at += usize::from(if holds { line.jt } else { line.jf });
        match line.code {
            0x20 => accumulator = u32::from_ne_bytes(data[line.k as usize..][..4].try_into().unwrap()),
            0x54 => accumulator &= line.k,
            0x05 => at += line.k as usize,
            0x15 => jump(accumulator == line.k),
            0x25 => jump(accumulator > line.k),
            0x35 => jump(accumulator >= line.k),
            0x06 => return line.k,
            code => panic!("unknown instruction {code:x}"),
        }
    }
}

const OWN: u32 = 4711;
const EPERM: Result<(), u32> = Err(1);
const ENOSYS: Result<(), u32> = Err(38);

#[track_caller]
fn check(call: c_long, arguments: &[i32], expected: Result<(), u32>) {
    let mut six = [0_u64; 6];
    for (slot, argument) in six.iter_mut().zip(arguments) {
        *slot = u64::from(argument.cast_unsigned());
    }
    assert_eq!(verdict(call, six), expected, "call {call} with {arguments:?}");
}

#[test]
fn what_a_server_uses_is_left() {
    for call in [libc::SYS_read, libc::SYS_openat, libc::SYS_futex, libc::SYS_accept4, libc::SYS_fdatasync] {
        check(call, &[], Ok(()));
    }
}

#[test]
fn every_call_that_is_refused_by_name_is_not_permitted() {
    for call in REFUSED {
        check(*call, &[], EPERM);
    }
    for call in [libc::SYS_ptrace, libc::SYS_execve, libc::SYS_bpf, libc::SYS_io_uring_setup, libc::SYS_mount] {
        assert!(REFUSED.contains(&call));
    }
}

#[test]
fn every_other_number_does_not_exist() {
    let listed: Vec<_> = allowed_calls().chain(REFUSED.iter().copied()).collect();
    for call in (0..1024).filter(|call| !listed.contains(call)) {
        check(call, &[], ENOSYS);
    }
    check(libc::SYS_clone3, &[], ENOSYS);
}

#[cfg(target_arch = "x86_64")]
#[test]
fn no_call_exists_under_its_number_for_32_bit_pointers() {
    const X32: c_long = 0x4000_0000;
    for call in (0..1024).map(|call| call | X32) {
        check(call, &[], ENOSYS);
    }
}

#[test]
fn a_thread_may_be_made_and_a_process_or_a_namespace_may_not() {
    // As glibc asks for a thread.
    let thread = libc::CLONE_VM
        | libc::CLONE_FS
        | libc::CLONE_FILES
        | libc::CLONE_SIGHAND
        | libc::CLONE_THREAD
        | libc::CLONE_SYSVSEM
        | libc::CLONE_SETTLS
        | libc::CLONE_PARENT_SETTID
        | libc::CLONE_CHILD_CLEARTID;
    check(libc::SYS_clone, &[thread], Ok(()));
    check(libc::SYS_clone, &[libc::SIGCHLD], EPERM);
    check(libc::SYS_clone, &[libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD], EPERM);
    for flag in CLONE_REFUSED {
        check(libc::SYS_clone, &[thread | flag], EPERM);
    }
}

#[test]
fn signals_and_limits_reach_this_process_only() {
    let own = OWN.cast_signed();
    for call in [libc::SYS_kill, libc::SYS_tgkill] {
        check(call, &[own, 6], Ok(()));
        for other in [1, 0, -1, own + 1] {
            check(call, &[other, 6], EPERM);
        }
    }
    check(libc::SYS_prlimit64, &[0], Ok(()));
    check(libc::SYS_prlimit64, &[own], Ok(()));
    check(libc::SYS_prlimit64, &[1], EPERM);
}

#[test]
fn memory_is_written_or_run_and_never_both() {
    let (read, write, run) = (libc::PROT_READ, libc::PROT_WRITE, libc::PROT_EXEC);
    let (file, anonymous) = (libc::MAP_PRIVATE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    check(libc::SYS_mmap, &[0, 4096, read | write, anonymous], Ok(()));
    check(libc::SYS_mmap, &[0, 4096, read | run, file], Ok(()));
    check(libc::SYS_mmap, &[0, 4096, read | run, anonymous], EPERM);
    check(libc::SYS_mmap, &[0, 4096, read | write | run, file], EPERM);
    check(libc::SYS_mprotect, &[0, 4096, read | write], Ok(()));
    check(libc::SYS_mprotect, &[0, 4096, read | run], EPERM);
    check(libc::SYS_pkey_mprotect, &[0, 4096, read, 0], EPERM);
}

#[test]
fn sockets_are_of_the_internet_or_of_this_machine() {
    let flags = libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    for family in [libc::AF_INET, libc::AF_INET6, libc::AF_UNIX] {
        check(libc::SYS_socket, &[family, libc::SOCK_STREAM | flags, 0], Ok(()));
        check(libc::SYS_socket, &[family, libc::SOCK_DGRAM | flags, 0], Ok(()));
    }
    for family in [libc::AF_INET, libc::AF_INET6] {
        check(libc::SYS_socket, &[family, libc::SOCK_RAW | flags, libc::IPPROTO_ICMP], EPERM);
    }
    check(libc::SYS_socket, &[libc::AF_NETLINK, libc::SOCK_RAW | flags, libc::NETLINK_ROUTE], Ok(()));
    check(libc::SYS_socket, &[libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_AUDIT], EPERM);
    for family in [libc::AF_PACKET, libc::AF_ALG, libc::AF_VSOCK, libc::AF_BLUETOOTH, libc::AF_XDP] {
        check(libc::SYS_socket, &[family, libc::SOCK_STREAM, 0], EPERM);
    }
}

#[test]
fn of_prctl_names_and_questions_are_left() {
    for operation in PRCTL {
        check(libc::SYS_prctl, &[operation, 0], Ok(()));
    }
    check(libc::SYS_prctl, &[libc::PR_SET_DUMPABLE, 1], EPERM);
    for operation in [libc::PR_SET_SECCOMP, libc::PR_SET_PTRACER, libc::PR_SET_MM, libc::PR_CAP_AMBIENT] {
        check(libc::SYS_prctl, &[operation, 0], EPERM);
    }
}

#[test]
fn nobody_types_into_the_terminal() {
    check(libc::SYS_ioctl, &[2, 0x5421], Ok(()));
    check(libc::SYS_ioctl, &[2, 0x5412], EPERM);
}
