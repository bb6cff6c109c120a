"""The database: tables, transactions, one repository per aggregate."""
