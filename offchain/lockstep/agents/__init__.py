"""The four roles: submitter, solver, verifier, whistleblower. State lives in a local database; every one resumes."""
