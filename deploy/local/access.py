"""Who may do what on Kafka: a user for each service, clinic and employer, and its rights by what the topics' files say.

A broker without logins has neither, and nothing is done there. Rights name topics to the letter: a prefix `emp-1` would
match `emp-10`. Groups are named by prefix, with the point that ends an employer's or a clinic's name.
"""

import asyncio
import secrets
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import replace
from typing import Any, Literal, NamedTuple, TypeVar, get_args

import confluent_kafka.admin
from confluent_kafka import KafkaException

from workhardening_contracts.kafka import MECHANISM, Broker, Login, read_address, write_address

from .layout import StackError
from .topics import TopicSpec

# What RFC 7677 asks for at the least, and the broker's own default.
_ITERATIONS = 4096
_ANSWER_S = 20


Operation = Literal["read", "write", "idempotent_write"]
Kind = Literal["topic", "group", "cluster"]
T = TypeVar("T")

# The one client of Kafka in Python that can set rights and passwords. It does not export its names to type checkers.
kafka: Any = confluent_kafka.admin


class Right(NamedTuple):
    """What one user may do: with one topic, with the groups whose names begin so, or on the cluster."""

    user: str
    operation: Operation
    kind: Kind
    name: str


def rights_of_services(specs: Iterable[TopicSpec], services: Collection[str]) -> set[Right]:
    """What each service may do with the topics that are one for all."""
    found = {Right(name, "read", "group", f"whp.{name}") for name in services}
    # A producer that never doubles is started before it is known which partners' topics it will write to.
    found |= {Right(name, "idempotent_write", "cluster", "kafka-cluster") for name in services}
    for spec in specs:
        if spec.per is None:
            found |= _rights(spec, {name: name for name in services})
    return found


def rights_of_partner(spec: TopicSpec, id: str, services: Collection[str]) -> set[Right]:
    """What one clinic or employer may do with its own topic, and the services with it.

    Raises StackError when the topic is not of that kind or the id is unfit for a topic's name.
    """
    partner = user_of(spec, id)
    named = _rights(spec.named(id), {name: name for name in services} | {str(spec.per): partner})
    reads = any(right.user == partner and right.operation == "read" for right in named)
    return named | ({Right(partner, "read", "group", f"{partner}.")} if reads else set())


def user_of(spec: TopicSpec, id: str) -> str:
    """The user of one clinic or employer. No service's name has a point in it."""
    return f"{spec.per}.{id}"


def _rights(spec: TopicSpec, users: Mapping[str, str]) -> set[Right]:
    return {Right(users[name], "write", "topic", spec.name) for name in spec.writers if name in users} | {
        Right(users[name], "read", "topic", spec.name) for name in spec.consumers if name in users
    }


async def set_passwords(address: str, passwords: Mapping[str, str]) -> None:
    """Have a user with each of these names and passwords. Raises StackError when the broker refuses."""
    broker = read_address(address)
    login = broker.login
    if login is not None:
        await asyncio.to_thread(_asked, lambda: _set_passwords(_admin(broker, login), passwords))


async def grant_services(address: str, specs: Iterable[TopicSpec], services: Collection[str]) -> list[str]:
    """Give each service the rights that the topics' files give it, and take from it any other on these topics.

    Gives what was done, one sentence for each change. Raises StackError when the broker refuses.
    """
    broker = read_address(address)
    login = broker.login
    if login is None:
        return []
    wanted = rights_of_services(specs, services)
    topics = {right.name for right in wanted if right.kind == "topic"}

    def work() -> list[str]:
        admin = _admin(broker, login)
        present = _present(admin)
        # Of topics that are one for all only: partners' are named in no file.
        surplus = {right for right in present - wanted if right.user in services and right.name in topics}
        _grant(admin, wanted - present)
        _withdraw(admin, surplus)
        return [f"allowed {_sentence(right)}" for right in sorted(wanted - present)] + [
            f"no longer allowed {_sentence(right)}" for right in sorted(surplus)
        ]

    return await asyncio.to_thread(_asked, work)


async def admit_partner(
    address: str, spec: TopicSpec, id: str, services: Collection[str], *, anew: bool = False
) -> str | None:
    """Have a user for a clinic or an employer with the rights to its own topic; gives its address of Kafka.

    None where there are no logins, and for a user that is there already unless it is to have a password `anew`: only
    the broker's proof of the old one is kept. Raises StackError when the broker refuses.
    """
    broker = read_address(address)
    login = broker.login
    wanted = rights_of_partner(spec, id, services)
    if login is None:
        return None
    user, password = user_of(spec, id), secrets.token_urlsafe(32)

    def work() -> bool:
        admin = _admin(broker, login)
        _grant(admin, wanted - _present(admin))
        new = anew or not _is_known(admin, user)
        if new:
            _set_passwords(admin, {user: password})
        return new

    if not await asyncio.to_thread(_asked, work):
        return None
    return write_address(Broker(broker.servers, replace(login, user=user, password=password)))


def _asked(work: Callable[[], T]) -> T:
    try:
        return work()
    except KafkaException as error:
        raise StackError(f"Kafka refuses to set users and rights: {error.args[0].name()}; look into its log.") from None


def _admin(broker: Broker, login: Login) -> Any:
    trusted: dict[str, Any] = {} if login.ca_file is None else {"ssl.ca.location": str(login.ca_file)}
    return kafka.AdminClient(
        {
            "bootstrap.servers": broker.servers,
            "security.protocol": "SASL_SSL",
            "sasl.mechanism": MECHANISM,
            "sasl.username": login.user,
            "sasl.password": login.password,
            "log_level": 0,  # what fails is raised
            **trusted,
        }
    )


def _set_passwords(admin: Any, passwords: Mapping[str, str]) -> None:
    kind = kafka.ScramCredentialInfo(kafka.ScramMechanism.SCRAM_SHA_512, _ITERATIONS)
    wanted = [kafka.UserScramCredentialUpsertion(user, kind, password.encode()) for user, password in passwords.items()]
    _answered(admin.alter_user_scram_credentials(wanted, request_timeout=_ANSWER_S))


def _is_known(admin: Any, user: str) -> bool:
    try:
        _answered(admin.describe_user_scram_credentials([user], request_timeout=_ANSWER_S))
    except KafkaException as error:
        if error.args[0].name() == "RESOURCE_NOT_FOUND":
            return False
        raise
    return True


def _present(admin: Any) -> set[Right]:
    """The rights that there are, of the kinds that are given here."""
    everything = kafka.AclBindingFilter(
        kafka.ResourceType.ANY,
        None,
        kafka.ResourcePatternType.ANY,
        None,
        None,
        kafka.AclOperation.ANY,
        kafka.AclPermissionType.ANY,
    )
    bindings: list[Any] = admin.describe_acls(everything, request_timeout=_ANSWER_S).result(_ANSWER_S)
    return {
        right
        for binding in bindings
        for operation in get_args(Operation)
        for kind in get_args(Kind)
        for right in [Right(binding.principal.removeprefix("User:"), operation, kind, binding.name)]
        if kafka.AclBinding(*_described(right)) == binding
    }


def _described(right: Right) -> tuple[Any, ...]:
    resource = {
        "topic": kafka.ResourceType.TOPIC,
        "group": kafka.ResourceType.GROUP,
        "cluster": kafka.ResourceType.BROKER,
    }
    prefixed = right.kind == "group"
    return (
        resource[right.kind],
        right.name,
        kafka.ResourcePatternType.PREFIXED if prefixed else kafka.ResourcePatternType.LITERAL,
        f"User:{right.user}",
        "*",
        kafka.AclOperation[right.operation.upper()],
        kafka.AclPermissionType.ALLOW,
    )


def _grant(admin: Any, rights: Collection[Right]) -> None:
    if rights:
        _answered(
            admin.create_acls([kafka.AclBinding(*_described(right)) for right in rights], request_timeout=_ANSWER_S)
        )


def _withdraw(admin: Any, rights: Collection[Right]) -> None:
    if rights:
        gone = [kafka.AclBindingFilter(*_described(right)) for right in rights]
        _answered(admin.delete_acls(gone, request_timeout=_ANSWER_S))


def _answered(asked: Mapping[Any, "Future[Any]"]) -> None:
    for answer in asked.values():
        answer.result(_ANSWER_S)


def _sentence(right: Right) -> str:
    match right.kind:
        case "topic":
            return f"{right.user} to {right.operation} {right.name}"
        case "group":
            return f"{right.user} to read in groups that begin with {right.name}"
        case "cluster":
            return f"{right.user} to be an idempotent producer"
