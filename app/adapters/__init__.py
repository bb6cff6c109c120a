"""Adapters: the outside world behind the ports. Only `app.main` names them."""
