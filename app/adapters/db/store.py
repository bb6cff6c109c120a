"""Every repository of one tenant, and the database that opens them."""

from collections.abc import Callable
from functools import cached_property
from typing import TypeVar

from app.adapters.db.audit import SqlAuditTrail
from app.adapters.db.browser_flows import SqlBrowserFlows
from app.adapters.db.codes import SqlAuthorizationCodes
from app.adapters.db.connection import Connection
from app.adapters.db.documents import SqlDocuments
from app.adapters.db.grants import SqlGrants
from app.adapters.db.keys import SqlSigningKeys
from app.adapters.db.repeatable_answers import SqlRepeatableAnswers
from app.adapters.db.sealed_values import SqlSealedValues
from app.adapters.db.sessions import SqlSessions
from app.adapters.db.spent import SqlSpentValues
from app.adapters.db.transactions import Transactions
from app.adapters.db.users import SqlUsers
from app.adapters.db.vaults import Vaults
from app.adapters.vault import TenantVault
from app.storage import TenantStore

T = TypeVar("T")


class SqlTenantStore:
    """`TenantStore` on SQL: each repository is made when it is asked for, with this transaction and this tenant."""

    def __init__(self, connection: Connection, vault: TenantVault) -> None:
        self._connection = connection
        self._vault = vault

    @cached_property
    def sessions(self) -> SqlSessions:
        """Interactive authorization sessions."""
        return SqlSessions(self._connection, self._vault)

    @cached_property
    def browser_flows(self) -> SqlBrowserFlows:
        """Browsers in web steps."""
        return SqlBrowserFlows(self._connection, self._vault)

    @cached_property
    def repeatable_answers(self) -> SqlRepeatableAnswers:
        """Answers kept for wallets that did not receive them."""
        return SqlRepeatableAnswers(self._connection, self._vault)

    @cached_property
    def codes(self) -> SqlAuthorizationCodes:
        """Authorization codes."""
        return SqlAuthorizationCodes(self._connection, self._vault)

    @cached_property
    def grants(self) -> SqlGrants:
        """Grants, access tokens, issuances."""
        return SqlGrants(self._connection, self._vault)

    @cached_property
    def spent(self) -> SqlSpentValues:
        """Spent values."""
        return SqlSpentValues(self._connection, self._vault)

    @cached_property
    def users(self) -> SqlUsers:
        """People."""
        return SqlUsers(self._connection, self._vault)

    @cached_property
    def signing_keys(self) -> SqlSigningKeys:
        """Private keys."""
        return SqlSigningKeys(self._connection, self._vault)

    @cached_property
    def documents(self) -> SqlDocuments:
        """Document revisions."""
        return SqlDocuments(self._connection, self._vault)

    @cached_property
    def sealed_values(self) -> SqlSealedValues:
        """Everything that is sealed."""
        return SqlSealedValues(self._connection, self._vault)

    @cached_property
    def audit(self) -> SqlAuditTrail:
        """The audit trail."""
        return SqlAuditTrail(self._connection, self._vault)


class SqlDatabase:
    """`Database` on SQL."""

    def __init__(self, transactions: Transactions, vaults: Vaults) -> None:
        self._transactions = transactions
        self._vaults = vaults

    async def read(self, tenant_id: str, work: Callable[[TenantStore], T]) -> T:
        """Run `work` in a transaction that writes nothing."""
        return await self._transactions.read(lambda connection: work(self._store(connection, tenant_id)))

    async def write(self, tenant_id: str, work: Callable[[TenantStore], T]) -> T:
        """Run `work` in a write transaction and commit."""
        return await self._transactions.write(lambda connection: work(self._store(connection, tenant_id)))

    def _store(self, connection: Connection, tenant_id: str) -> SqlTenantStore:
        return SqlTenantStore(connection, self._vaults.of(connection, tenant_id))
