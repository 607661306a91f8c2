"""Giving up root once the interfaces are open: another user, and of all capabilities only the one that opens a lost
interface again.

Linux only. Must run before a thread starts: capabilities are a thread's own.
"""

import ctypes
import os
import pwd
from pathlib import Path

CAP_NET_RAW = 13
_PR_SET_KEEPCAPS, _PR_SET_NO_NEW_PRIVS = 8, 38
_CAPABILITY_VERSION_3 = 0x20080522

PREFERRED = ("afterfact", "nobody")


class PrivilegeError(ValueError):
    """Privileges cannot be given up as asked. One line."""


def default_user() -> str:
    """`afterfact` if there is such an account, else `nobody`."""
    for name in PREFERRED:
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    raise PrivilegeError("there is no account afterfact or nobody to run as; name one with --user")


def hand_over(path: Path, user: str) -> None:
    """Make a directory, if need be, and give it with all that is in it to a user. PrivilegeError."""
    account = _account(user)
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.chown(path, account.pw_uid, account.pw_gid)
        for folder, folders, files in os.walk(path):
            for name in (*folders, *files):
                os.chown(os.path.join(folder, name), account.pw_uid, account.pw_gid, follow_symlinks=False)
    except OSError as error:
        raise PrivilegeError(f"{error.filename}: cannot be given to {user}: {error.strerror}") from None


def become(user: str) -> None:
    """Be `user` from now on, with CAP_NET_RAW alone, and unable to gain anything. PrivilegeError."""
    account = _account(user)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0:
        raise PrivilegeError(f"cannot keep CAP_NET_RAW: {os.strerror(ctypes.get_errno())}")
    try:
        os.setgroups([])
        os.setresgid(account.pw_gid, account.pw_gid, account.pw_gid)
        os.setresuid(account.pw_uid, account.pw_uid, account.pw_uid)
    except OSError as error:
        raise PrivilegeError(f"cannot become {user}: {error.strerror}") from None
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    mask = 1 << CAP_NET_RAW
    data = (ctypes.c_uint32 * 6)(mask, mask, 0, 0, 0, 0)  # effective, permitted, inheritable; the low half, the high
    if libc.capset(header, data) != 0:
        raise PrivilegeError(f"cannot give up capabilities: {os.strerror(ctypes.get_errno())}")
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def _account(user: str) -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(user)
    except KeyError:
        raise PrivilegeError(f"there is no account {user}") from None
