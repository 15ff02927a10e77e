"""Keeps one virtual machine that never runs, whose interrupt controller is off.

KVM rewrites its own code when the first such controller appears and when the last is gone, which is whenever a machine starts.
QEMU's emulated processors do not always survive that: one may go on in the middle of an instruction that was there before.
"""
import fcntl, signal, struct

CREATE_VM, CREATE_IRQCHIP, CREATE_VCPU = 0xAE01, 0xAE60, 0xAE41
GET_SREGS, SET_SREGS = 0x8138AE83, 0x4138AE84
SREGS_BYTES, APIC_BASE_AT, ENABLED = 312, 272, 1 << 11

kvm = open("/dev/kvm", "r+b", buffering=0)
machine = fcntl.ioctl(kvm, CREATE_VM, 0)
fcntl.ioctl(machine, CREATE_IRQCHIP, 0)
processor = fcntl.ioctl(machine, CREATE_VCPU, 0)
registers = bytearray(SREGS_BYTES)
fcntl.ioctl(processor, GET_SREGS, registers)
(base,) = struct.unpack_from("<Q", registers, APIC_BASE_AT)
struct.pack_into("<Q", registers, APIC_BASE_AT, base & ~ENABLED)
fcntl.ioctl(processor, SET_SREGS, registers)
print("held", flush=True)
signal.pause()
