"""Durable functions in the classic style: one-argument generators, the classic client's methods, blueprints."""

import azure.durable_functions as df
import azure.functions as func
import client_routes
import orchestrators

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)
app.register_functions(orchestrators.bp)
app.register_functions(client_routes.bp)
